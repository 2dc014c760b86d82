"""The Schedule column says what a DAG waits for, a running scheduler starts nothing by itself, and all works without the plugin."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.airflow import ROOT, AirflowLaunch, AirflowServer, running_airflow
from tests.acceptance.runs import runs, succeeded, wait_for_runs

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

WITHOUT_PLUGIN = """
import importlib.metadata

import importlib_metadata


def hide(metadata):
    found = metadata.Distribution.entry_points.fget
    ours = ("airflow.plugins", "watcher")
    others = lambda self: metadata.EntryPoints(each for each in found(self) if (each.group, each.name) != ours)
    metadata.Distribution.entry_points = property(others)


hide(importlib.metadata)
hide(importlib_metadata)
"""
"""What makes every Python of an Airflow blind for our entry point, as in an image where the wheel was installed without it."""


def wait_until(done: Callable[[], bool], seconds: float = 120) -> None:
    """Airflow tells nobody what it does; this paces the question."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.5)


def wait_for_more_rounds(airflow: AirflowServer, dag_id: str) -> None:
    """Until the DAG was parsed twice more, and the scheduler has been at work for 10 s more, by their own clocks."""
    parsed = airflow.get(f"/api/v2/dags/{dag_id}")["last_parsed_time"]
    seen = {parsed}
    beat = heartbeat(airflow)

    def done() -> bool:
        seen.add(airflow.get(f"/api/v2/dags/{dag_id}")["last_parsed_time"])
        assert airflow.healthy()
        return len(seen) > 2 and heartbeat(airflow) - beat >= timedelta(seconds=10)

    wait_until(done)


def heartbeat(airflow: AirflowServer) -> datetime:
    health = airflow.get("/api/v2/monitor/health", token=None)
    return datetime.fromisoformat(health["scheduler"]["latest_scheduler_heartbeat"])


def trigger(airflow: AirflowServer, dag_id: str, number: int, conf: dict[str, Any] | None = None) -> None:
    """A run as the daemon makes it."""
    body = {"dag_run_id": f"watcher__20261122T141006Z__b{number:06}", "logical_date": None, "conf": conf or {}}
    airflow.request("POST", f"/api/v2/dags/{dag_id}/dagRuns", body, token="watcher")


@pytest.fixture
def launch(tmp_path: Path) -> AirflowLaunch:
    """Two pipelines over one folder of files: one that waits for changes, one with a clock beside."""
    landing, pipelines = tmp_path / "landing", tmp_path / "pipelines"
    landing.mkdir()
    pipelines.mkdir()
    (landing / "a.csv").write_text("id,name\n1,a\n")
    source = {"source_id": "landing", "source_type": "filesystem", "path": str(landing), "pattern": "*.csv"}
    keys = {"sources": [source], "trigger": {"changes": 1000, "max_wait": "10m", "conf": {"load_type": "daily"}}}
    for name, more in (
        ("on_change", {"start_date": "2024-01-01", "catchup": True}),
        ("by_clock", {"schedule": "0 2 1 1 *"}),
    ):
        (pipelines / f"{name}.yaml").write_text(json.dumps({"name": name, **keys, **more}))  # JSON is YAML
    shutil.copytree(ROOT / "airflow" / "dags", tmp_path / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    return AirflowLaunch(
        pipelines=pipelines, dags_folder=tmp_path / "dags", env={"WATCHER_DUCKDB": str(tmp_path / "loaded.duckdb")}
    )


def test_the_column_and_nothing_but_what_was_triggered(launch: AirflowLaunch, tmp_path: Path) -> None:
    """The words show, triggered runs work, no run comes by itself or for the past, one version stays; then without the plugin."""
    with running_airflow(tmp_path / "home", launch) as airflow:
        for dag_id in ("on_change", "by_clock", "example_reads_batch", "watcher_health"):
            airflow.wait_for_dag(dag_id)
        told = airflow.get("/api/v2/dags/on_change")
        assert told["timetable_summary"] == "on change: landing"
        assert told["timetable_description"] == "1,000 changes, or 10m after the first"
        assert airflow.get("/api/v2/dags/by_clock")["timetable_summary"] == "0 2 1 1 *"

        trigger(airflow, "on_change", 1)
        trigger(airflow, "on_change", 2)
        wait_for_runs(airflow, "on_change", succeeded(2), seconds=180)
        wait_for_more_rounds(airflow, "on_change")
        assert len(runs(airflow, "on_change")) == 2
        told = airflow.get("/api/v2/dags/on_change")
        assert (told["next_dagrun_run_after"], told["next_dagrun_logical_date"]) == (None, None)
        assert airflow.get("/api/v2/dags/on_change/dagVersions")["total_entries"] == 1
        the_others_wait_for_somebody(airflow)
        example_reads_its_batch(airflow)

    plugless = tmp_path / "plugless"
    plugless.mkdir()
    (plugless / "sitecustomize.py").write_text(WITHOUT_PLUGIN)
    without = AirflowLaunch(
        pipelines=launch.pipelines, dags_folder=launch.dags_folder, env={**launch.env, "PYTHONPATH": str(plugless)}
    )
    with running_airflow(tmp_path / "home", without) as airflow:
        wait_until(lambda: airflow.get("/api/v2/dags/on_change")["timetable_summary"] is None)
        trigger(airflow, "on_change", 3)
        wait_for_runs(airflow, "on_change", succeeded(3), seconds=180)
        wait_for_more_rounds(airflow, "on_change")
        assert len(runs(airflow, "on_change")) == 3


def the_others_wait_for_somebody(airflow: AirflowServer) -> None:
    """The two DAGs beside the generated ones are paused and have never run."""
    for dag_id in ("example_reads_batch", "watcher_health"):
        assert airflow.get(f"/api/v2/dags/{dag_id}")["is_paused"] is True
        assert runs(airflow, dag_id) == []


def example_reads_its_batch(airflow: AirflowServer) -> None:
    """The example written by hand, unpaused and triggered with a batch, is green and knows its changes."""
    source = {"changes": 3, "bytes": 0, "operations": {"insert": 3}, "range": {"column": "at", "from": "a", "to": "b"}}
    block = {
        "schema": 1,
        "batch": "b000009",
        "uid": "0" * 32,
        "pipeline": "p",
        "reason": "r",
        "sources": {"db": source},
    }
    airflow.request("PATCH", "/api/v2/dags/example_reads_batch", {"is_paused": False})
    trigger(airflow, "example_reads_batch", 9, {"watcher": block})
    (run,) = wait_for_runs(airflow, "example_reads_batch", succeeded(1), seconds=120)
    path = f"/api/v2/dags/example_reads_batch/dagRuns/{run['dag_run_id']}/taskInstances/look/xcomEntries/return_value"
    assert airflow.get(path)["value"] == {"db": 3}
