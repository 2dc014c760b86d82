"""A row changes, a file lands, and a real Airflow runs the matching DAG once."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest

from local.airflow import ROOT, AirflowServer
from local.postgres import PostgresServer
from tests.acceptance.daemon import Daemon, Place
from tests.acceptance.runs import changes_of, runs, succeeded, wait_for_runs

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(400)]


def publish(place: Place, folder: Path, name: str, pipeline: dict[str, object]) -> None:
    """One pipeline file, for the daemon and for Airflow."""
    text = json.dumps({"name": name, **pipeline})  # JSON is YAML
    (place.pipelines / f"{name}.yaml").write_text(text)
    (folder / "pipelines" / f"{name}.yaml").write_text(text)


def loaded(folder: Path, query: str) -> list[tuple[object, ...]]:
    """What arrived in the destination."""
    code = (
        "import duckdb, json, sys; connection = duckdb.connect(sys.argv[1], read_only=True); "
        "print(json.dumps(connection.execute(sys.argv[2]).fetchall(), default=str))"
    )
    python = ROOT / ".venv-airflow" / "bin" / "python"
    command = [python, "-c", code, folder / "loaded.duckdb", query]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder)
    return [tuple(row) for row in json.loads(answer.stdout)]


def insert(shop: PostgresServer, table: str, rows: int) -> None:
    with psycopg.connect(shop.url("shop")) as connection:
        connection.execute(f"insert into {table}(amount) select n from generate_series(1, {rows}) n")


def orders_pipeline(table: str) -> dict[str, object]:
    return {
        "sources": [
            {
                "source_id": "orders_db",
                "source_type": "database",
                "connection": "shop_db",
                "table": f"public.{table}",
                "watch": {"column": "updated_at", "interval": "5s", "notify": table},
            }
        ],
        "trigger": {"changes": 5, "max_wait": "2m"},
    }


def test_rows_become_exactly_one_run_with_their_window(
    airflow: AirflowServer, shop: PostgresServer, place: Place, folder: Path, table: str
) -> None:
    """Five rows make one green run that loads exactly these rows, says why it ran, and nothing else runs."""
    insert(shop, table, 3)
    publish(place, folder, table, orders_pipeline(table))
    airflow.wait_for_dag(table)
    with Daemon(place) as daemon:
        daemon.wait_for("daemon_started")
        daemon.wait_for("first_look_done", where=lambda line: line["source"] == "orders_db")
        insert(shop, table, 4)
        daemon.wait_for("detection_recorded", where=lambda line: line["changes"] == 4)
        assert runs(airflow, table) == []
        insert(shop, table, 1)
        (run,) = wait_for_runs(airflow, table, succeeded(1))
        daemon.wait_for("run_succeeded")
        assert daemon.stop() == 0
    source = run["conf"]["watcher"]["sources"]["orders_db"]
    assert changes_of(run) == 5
    assert source["range"]["column"] == "updated_at"
    assert run["conf"]["watcher"]["reason"] == "changes 5 >= 5"
    assert "5 changes in orders_db" in run["note"].splitlines()[0]
    assert run["triggering_user_name"] == "watcher"
    assert loaded(folder, f"select count(*), min(id), max(id) from {table}.{table}") == [(5, 4, 8)]
    assert len(runs(airflow, table)) == 1


def test_files_become_exactly_one_run_with_their_paths(airflow: AirflowServer, place: Place, folder: Path) -> None:
    """Two files that are complete make one green run whose conf lists exactly these, and their rows are loaded."""
    landing = folder / "landing"
    landing.mkdir()
    (landing / "old.csv").write_text("id,name\n1,old\n")
    pipeline = {
        "sources": [
            {
                "source_id": "landing",
                "source_type": "filesystem",
                "path": str(landing),
                "pattern": "*.csv",
                "watch": {"settle": "500ms"},
            }
        ],
        "trigger": {"files": 2, "max_wait": "2m"},
    }
    publish(place, folder, "partner_drop", pipeline)
    airflow.wait_for_dag("partner_drop")
    with Daemon(place) as daemon:
        daemon.wait_for("first_look_done")
        (landing / "a.csv").write_text("id,name\n2,a\n")
        (landing / "b c.csv").write_text("id,name\n3,b\n4,b\n")
        (run,) = wait_for_runs(airflow, "partner_drop", succeeded(1))
        assert daemon.stop() == 0
    files = run["conf"]["watcher"]["sources"]["landing"]["files"]
    assert [Path(path).name for path in files] == ["a.csv", "b%20c.csv"]
    tables = loaded(folder, "select table_name from information_schema.tables where table_schema = 'partner_drop'")
    (name,) = [row[0] for row in tables if not str(row[0]).startswith("_dlt")]
    assert loaded(folder, f"select cast(id as int) from partner_drop.{name} order by 1") == [(2,), (3,), (4,)]


def test_changes_made_while_airflow_is_away_leave_as_one_run(
    airflow: AirflowServer, shop: PostgresServer, place: Place, table: str
) -> None:
    """Airflow stops, three limits are passed, Airflow starts: one merged run, and liveness was green throughout."""
    pipeline = orders_pipeline(table) | {"name": "counted", "dag_id": "counted"}
    (place.pipelines / "counted.yaml").write_text(json.dumps(pipeline))
    airflow.wait_for_dag("counted")
    before = len(runs(airflow, "counted"))
    with Daemon(place) as daemon:
        daemon.wait_for("first_look_done")
        airflow.stop_api()
        try:
            for _ in range(3):
                count = len(daemon.all("detection_recorded"))
                insert(shop, table, 6)
                daemon.wait_for(
                    "detection_recorded", after=0, where=lambda _, n=count: len(daemon.all("detection_recorded")) > n
                )
            held = daemon.wait_for("gate_closed")
            assert held["code"] == "airflow-unreachable"
        finally:
            airflow.start_api()
        daemon.wait_for("run_succeeded", seconds=120)
        assert daemon.stop() == 0
    made = runs(airflow, "counted")[before:]
    assert [changes_of(run) for run in made] == [18]


def test_a_paused_dag_holds_its_changes_and_one_run_leaves_after(
    airflow: AirflowServer, shop: PostgresServer, place: Place, table: str
) -> None:
    """Nothing is sent to a paused DAG; unpaused, all that waits leaves as one run."""
    pipeline = orders_pipeline(table) | {"name": "counted_too", "dag_id": "counted_too"}
    (place.pipelines / "counted_too.yaml").write_text(json.dumps(pipeline))
    airflow.wait_for_dag("counted_too")
    before = len(runs(airflow, "counted_too"))
    airflow.request("PATCH", "/api/v2/dags/counted_too", {"is_paused": True})
    with Daemon(place) as daemon:
        daemon.wait_for("first_look_done")
        insert(shop, table, 5)
        assert daemon.wait_for("gate_closed")["code"] == "dag-paused"
        insert(shop, table, 7)
        daemon.wait_for("detection_recorded", where=lambda line: line["changes"] == 7)
        assert len(runs(airflow, "counted_too")) == before
        airflow.request("PATCH", "/api/v2/dags/counted_too", {"is_paused": False})
        daemon.wait_for("run_succeeded", seconds=90)
        assert daemon.stop() == 0
    assert [changes_of(run) for run in runs(airflow, "counted_too")[before:]] == [12]


def test_a_broken_file_is_an_import_error_and_hides_no_other_dag(
    airflow: AirflowServer, folder: Path, table: str, place: Place
) -> None:
    """The bad file shows in Airflow with its place; the good one beside it can still be run."""
    publish(place, folder, table, orders_pipeline(table))
    broken = folder / "pipelines" / "broken.yaml"
    broken.write_text("name: broken\nsources:\n  - {source_id: a, source_type: filesystem, path: /tmp, colour: red}\n")
    try:
        airflow.wait_for_dag(table)

        def shown() -> bool:
            errors = airflow.get("/api/v2/importErrors")["import_errors"]
            return any("broken.yaml:3" in error["stack_trace"] for error in errors)

        airflow._running["dag-processor"].wait_until(shown, seconds=60, every=0.5)
        assert airflow.get(f"/api/v2/dags/{table}")["has_import_errors"] is False
    finally:
        broken.unlink()
        shutil.rmtree(folder / "landing", ignore_errors=True)
