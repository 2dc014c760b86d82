"""What the commands say of a real Airflow: whether it runs the definition of the file, and what waiting cost it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from local.airflow import AirflowServer
from local.postgres import PostgresServer
from tests.acceptance.daemon import WATCHER, Place

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(400)]

WAITS = '''"""An Airflow DAG that waits for a table."""
from airflow.providers.common.sql.sensors.sql import SqlSensor
from airflow.sdk import DAG

with DAG("waits", schedule=None, is_paused_upon_creation=False):
    SqlSensor(
        task_id="wait_for_flag",
        conn_id="shop_db",
        sql="SELECT count(*) FROM pg_tables WHERE tablename = 'the_flag'",
        poke_interval=1,
    )
'''


def watcher(place: Place, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(WATCHER), *arguments]
    return subprocess.run(
        command, cwd=place.folder, env=place.environment, capture_output=True, text=True, timeout=90, check=False
    )


def doctor(place: Place) -> tuple[int, list[tuple[str, str]]]:
    """Exit code under --strict, and what is not ok about Airflow."""
    done = watcher(place, "doctor", "--only", "airflow", "--strict", "--json")
    findings = json.loads(done.stdout)["findings"]
    return done.returncode, [(each["part"], each["text"]) for each in findings if each["verdict"] != "ok"]


def wait_until(holds: Callable[[], Any], airflow: AirflowServer, seconds: float = 90) -> None:
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, airflow.tail()
        time.sleep(0.2)


def test_doctor_and_status_say_when_airflow_runs_an_older_definition(
    airflow: AirflowServer, place: Place, folder: Path
) -> None:
    """In step at first; changed here it is behind; parsed again by Airflow it is in step."""
    name = "in_step"
    source = {"source_id": "drop", "source_type": "filesystem", "path": str(folder), "pattern": "*.none", "watch": {}}
    old = json.dumps({"name": name, "sources": [source]})
    new = json.dumps({"name": name, "sources": [source], "description": "changed"})
    shared, ours = folder / "pipelines" / f"{name}.yaml", place.pipelines / f"{name}.yaml"

    shared.write_text(old)
    ours.write_text(old)
    airflow.wait_for_dag(name)
    assert doctor(place) == (0, [])

    parsed = airflow.get(f"/api/v2/dags/{name}/details")["doc_md"]
    ours.write_text(new)
    code, ((part, text),) = doctor(place)
    assert (code, part) == (5, "dags")
    assert text.startswith(f"Airflow still runs an older definition of {name} (")

    shared.write_text(new)
    wait_until(lambda: airflow.get(f"/api/v2/dags/{name}/details")["doc_md"] != parsed, airflow)
    assert doctor(place) == (0, [])


def test_the_hours_that_a_wait_held_a_worker_are_learned(
    airflow: AirflowServer, shop: PostgresServer, place: Place, folder: Path
) -> None:
    """A task that waited for a table some seconds is found in its DAG file, and its seconds in Airflow."""
    dags = folder / "dags" / "waiting"
    dags.mkdir()
    (dags / "waits.py").write_text(WAITS)
    airflow.wait_for_dag("waits")
    body = {"dag_run_id": "waited_once", "logical_date": None}
    airflow.request("POST", "/api/v2/dags/waits/dagRuns", body)
    task = "/api/v2/dags/waits/dagRuns/waited_once/taskInstances/wait_for_flag"
    wait_until(lambda: airflow.get(task)["state"] in ("running", "failed"), airflow)
    time.sleep(3)  # what is measured
    with psycopg.connect(shop.url("shop")) as connection:
        connection.execute("create table the_flag(id int)")
    wait_until(lambda: airflow.get(task)["state"] in ("success", "failed"), airflow)
    assert airflow.get(task)["state"] == "success", airflow.tail()

    made = place.folder / "made"
    arguments = ("init", str(made), "--from-dags", str(dags), "--airflow", airflow.url, "-c", str(place.settings))
    done = watcher(place, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [(each["task_id"], each["mode"], each["ready"]) for each in told["sensors"]] == [
        ("wait_for_flag", "poke", True)
    ]
    (hours,) = told["hours"]
    assert 3 / 3600 <= hours["hours"]["7d"] == hours["hours"]["30d"] <= 120 / 3600
    checked = subprocess.run(
        [str(WATCHER), "check", str(made / "pipelines")], capture_output=True, text=True, timeout=60, check=False
    )
    assert checked.returncode == 0, checked.stdout
