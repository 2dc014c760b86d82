"""A fake Airflow with one good DAG, and clocks that stand still until they are told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.airflow_api.fake_airflow import FakeAirflow, running_fake
from tests.airflow_api.rows import GOOD


class Clock:
    """Monotonic seconds and a wall clock that move together, by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2026, 11, 22, 14, 0, tzinfo=UTC) + timedelta(seconds=self.seconds - 1000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def fake() -> AsyncIterator[FakeAirflow]:
    async with running_fake() as server:
        server.dag(GOOD)
        yield server
