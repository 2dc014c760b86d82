"""The plugin that Airflow finds in the wheel: it registers the timetable, and costs nothing until somebody asks for it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin


class WatcherPlugin(AirflowPlugin):
    """Registered by the entry point `airflow.plugins`."""

    name = "watcher"

    @cached_property
    def timetables(self) -> list[Any]:  # type: ignore[override]
        """Imported late: every task of every DAG loads all plugins and needs no timetable."""
        from watcher.dags.timetable import OnChange

        return [OnChange]
