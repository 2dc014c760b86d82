"""How a command reaches Airflow: as the daemon does, with a deadline of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from watcher.settings import Settings

if TYPE_CHECKING:
    from watcher.airflow_api import AirflowOptions


def airflow_options_of(settings: Settings, seconds: float) -> AirflowOptions:
    """The daemon's way to Airflow, each question over within `seconds`. Raises ConfigError for a secret that cannot be read."""
    from watcher.daemon import airflow_options

    return replace(airflow_options(settings), deadline=seconds, on_request=None)
