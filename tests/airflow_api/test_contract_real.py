"""The contract against a real Airflow: what the fake answers is what Airflow answers."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local.airflow import AirflowLaunch, AirflowServer, running_airflow
from tests.airflow_api.contract import AirflowContract
from tests.airflow_api.rows import BROKEN, GOOD, LIMITED, NEEDY, PAUSED
from tests.airflow_api.world import new_run_id

FILE = f'''"""An Airflow DAG that breaks on demand."""
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

with DAG("{BROKEN}", schedule=None) as dag:
    EmptyOperator(task_id="nothing")
'''


class RealWorld:
    """A running Airflow as a World."""

    def __init__(self, server: AirflowServer) -> None:
        self.server = server
        self.url, self.username, self.password = server.url, server.username, server.password
        self.secret = (server.home / "jwt_secret").read_text()
        self.file = server.launch.dags_folder / "contract_broken.py"

    async def set_paused(self, dag_id: str, paused: bool) -> None:
        await asyncio.to_thread(self.server.request, "PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": paused})

    async def break_file(self) -> None:
        self.file.write_text(FILE + 'raise ValueError("out of paint")\n')
        await asyncio.to_thread(self._wait_until_stale)

    async def mend_file(self) -> None:
        self.file.write_text(FILE)
        await asyncio.to_thread(self.server.wait_for_dag, BROKEN)

    async def delete_run(self, dag_id: str, run_id: str) -> None:
        await asyncio.to_thread(self.server.request, "DELETE", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")

    async def run_task(self, dag_id: str, task_id: str) -> datetime:
        body = {"dag_run_id": (run_id := new_run_id()), "logical_date": None}
        await asyncio.to_thread(self.server.request, "POST", f"/api/v2/dags/{dag_id}/dagRuns", body)
        await asyncio.to_thread(self._wait_until_done, f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")
        return datetime.now(UTC)

    def _wait_until_done(self, path: str, seconds: float = 90) -> None:
        ends = time.monotonic() + seconds
        while self.server.get(path)["state"] != "success":
            assert time.monotonic() < ends, self.server.tail()
            time.sleep(0.2)

    def _wait_until_stale(self, seconds: float = 90) -> None:
        ends = time.monotonic() + seconds
        while not self.server.get(f"/api/v2/dags/{BROKEN}")["is_stale"]:
            assert time.monotonic() < ends, self.server.tail()
            time.sleep(0.2)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealWorld]:
    """An Airflow of its own, with the DAGs of the contract."""
    dags = tmp_path_factory.mktemp("dags")
    shutil.copy(Path(__file__).with_name("contract_dags.py"), dags)
    (dags / "contract_broken.py").write_text(FILE)
    with running_airflow(tmp_path_factory.mktemp("airflow"), AirflowLaunch(dags_folder=dags)) as server:
        for dag_id in (GOOD, PAUSED, LIMITED, NEEDY, BROKEN):
            server.wait_for_dag(dag_id)
        yield RealWorld(server)


@pytest.mark.acceptance
class TestReal(AirflowContract):
    """The contract, kept by Airflow itself."""
