"""What Airflow itself says of its runs, asked over REST by a client that shares nothing with the daemon's."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from local.airflow import AirflowServer

Run = dict[str, Any]


def runs(airflow: AirflowServer, dag_id: str) -> list[Run]:
    """All runs of a DAG, oldest first."""
    found: list[Run] = []
    while True:
        page = airflow.get(f"/api/v2/dags/{dag_id}/dagRuns?limit=100&offset={len(found)}&order_by=id")
        found += page["dag_runs"]
        if len(found) >= page["total_entries"] or not page["dag_runs"]:
            return found


def wait_for_runs(
    airflow: AirflowServer, dag_id: str, done: Callable[[list[Run]], bool], seconds: float = 120
) -> list[Run]:
    """The runs once `done` accepts them; AssertionError with what was there otherwise."""
    deadline = time.monotonic() + seconds
    while True:
        found = runs(airflow, dag_id)
        if done(found):
            return found
        assert time.monotonic() < deadline, json.dumps([(r["dag_run_id"], r["state"], r["conf"]) for r in found])
        time.sleep(0.5)  # Airflow has no way to wait for a set of runs; this paces the question


def changes_of(run: Run) -> int:
    """The changes that a run says it carries."""
    return sum(source["changes"] for source in run["conf"]["watcher"]["sources"].values())


def succeeded(count: int) -> Callable[[list[Run]], bool]:
    """Exactly this many runs, all green; more of them, or a red one, can never become right and is told at once."""

    def done(found: list[Run]) -> bool:
        assert len(found) <= count, [run["dag_run_id"] for run in found]
        assert not any(run["state"] == "failed" for run in found), [(r["dag_run_id"], r["state"]) for r in found]
        return len(found) == count and all(run["state"] == "success" for run in found)

    return done
