"""What many tests stand on: a real SQLite store, the HTTP stand-in for Airflow, and the door to it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.airflow_api.fake_airflow import FakeAirflow, running_fake
from watcher.airflow_api import AirflowApi, AirflowOptions, open_airflow
from watcher.store import Store, open_store

# platformdirs warns without it, and warnings are errors
os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """A new store in a file of its own."""
    async with open_store(f"sqlite:///{tmp_path}/state/watcher.db") as opened:
        yield opened


@pytest.fixture
async def airflow() -> AsyncIterator[FakeAirflow]:
    """The stand-in, with one DAG `orders` that can be triggered."""
    async with running_fake() as fake:
        fake.dag("orders")
        yield fake


@pytest.fixture
async def api(airflow: FakeAirflow) -> AsyncIterator[AirflowApi]:
    """The door to the stand-in."""
    options = AirflowOptions(airflow.url, airflow.username, lambda: airflow.password, deadline=2.0)
    async with open_airflow(options) as opened:
        yield opened
