"""The fake keeps the contract, so tests may lean on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from tests.airflow_api.contract import AirflowContract
from tests.airflow_api.fake_airflow import FakeAirflow, running_fake
from tests.airflow_api.rows import BROKEN, GOOD, LIMITED, MARK, NEEDY, PAUSED
from tests.airflow_api.world import World


class FakeWorld:
    """The fake as a World."""

    def __init__(self, fake: FakeAirflow) -> None:
        self.fake = fake
        self.url, self.username, self.password, self.secret = fake.url, fake.username, fake.password, fake.secret

    async def set_paused(self, dag_id: str, paused: bool) -> None:
        self.fake.dag(dag_id, paused=paused)

    async def break_file(self) -> None:
        self.fake.break_file(BROKEN, 'Traceback (most recent call last):\n  File "x.py"\nValueError: out of paint\n')

    async def mend_file(self) -> None:
        self.fake.mend_file(BROKEN)

    async def delete_run(self, dag_id: str, run_id: str) -> None:
        del self.fake.runs[dag_id, run_id]

    async def run_task(self, dag_id: str, task_id: str) -> datetime:
        now = datetime.now(UTC)
        self.fake.dag(dag_id).times.setdefault(task_id, []).append((now, 0.5))
        return now


class TestFake(AirflowContract):
    @pytest.fixture
    async def world(self) -> AsyncIterator[World]:
        async with running_fake() as fake:
            fake.dag(GOOD, doc_md=f"Made by hand.\n\nDefinition `{MARK}`")
            fake.dag(PAUSED, paused=True)
            fake.dag(LIMITED, params={"n": {"type": "integer", "default": 5, "maximum": 10}})
            fake.dag(NEEDY, params={"must": {"type": "string"}})
            fake.dag(BROKEN)
            yield FakeWorld(fake)
