"""The health DAG is red exactly where a person is needed, and says why."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException
from http_server import Answer, Asked, HttpServer, http_server

from watcher.dags import build_health
from watcher.dags.ops import LARGEST, samples
from watcher.errors import ConfigError

METRICS = """\
# HELP watcher_pipelines Pipelines by state
# TYPE watcher_pipelines gauge
watcher_config_last_reload_successful {reload}
watcher_pipelines{{state="loaded"}} {loaded}
watcher_pipelines{{state="invalid"}} {invalid}
watcher_unaccounted_changes {difference}
"""
WELL: dict[str, Any] = {"reload": 1.0, "loaded": 1.0, "invalid": 0.0, "difference": 0.0}
SOURCE = "sources: [{source_id: db, source_type: database, connection: c, table: t, watch: {column: at}}]\n"
NEAR = Path("/opt/airflow/dags/watcher_health.py")


class Daemon:
    """What a daemon answers at its health address."""

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self.ready = Answer({"status": "ready", "degraded": {}})
        self.metrics: dict[str, Any] = dict(WELL)
        self.oldest: dict[str, float] = {}
        server.answer = self.answer

    def answer(self, asked: Asked) -> Answer:
        if asked.path == "/readyz":
            return self.ready
        lines = [
            f'watcher_pending_oldest_timestamp_seconds{{pipeline="{name}"}} {at!r}' for name, at in self.oldest.items()
        ]
        return Answer((METRICS.format(**self.metrics) + "\n".join(lines)).encode())


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch, pipelines: Path) -> Iterator[Daemon]:
    """A daemon that is well, with one pipeline that Airflow reads too."""
    (pipelines / "orders.yaml").write_text(f"name: orders\n{SOURCE}trigger: {{changes: 10, max_wait: 5m}}\n")
    with http_server() as server:
        monkeypatch.setenv("WATCHER_OPS_URL", server.url)
        yield Daemon(server)


def asked(question: str, **params: float) -> dict[str, Any]:
    """What a task of the health DAG answers."""
    dag = build_health(NEAR)["watcher_health"]
    known = {name: dag.params[name] for name in dag.params}
    found: dict[str, Any] = dag.task_dict[question].execute({"params": known | params})  # type: ignore[attr-defined]
    return found


def test_the_dag_waits_for_somebody() -> None:
    """It is paused until somebody has given an address, never catches up, and belongs to the file that Airflow reads."""
    dag = build_health(NEAR)["watcher_health"]

    assert (dag.is_paused_upon_creation, dag.catchup, dag.schedule) == (True, False, "*/5 * * * *")
    assert dag.fileloc == str(NEAR)
    assert sorted(dag.task_dict) == ["in_step", "ledger", "oldest_pending", "ready"]
    assert all(task.upstream_task_ids == set() for task in dag.tasks)


@pytest.mark.parametrize("question", ["ready", "in_step", "ledger", "oldest_pending"])
def test_all_is_well(daemon: Daemon, question: str) -> None:
    """A healthy daemon is green in every task, with the facts."""
    daemon.oldest = {"orders": time.time() - 60}
    assert asked(question)


def test_degraded_is_ready(daemon: Daemon) -> None:
    """A source or an Airflow that is away is the daemon's own matter; the fact is shown."""
    daemon.ready = Answer({"status": "degraded", "degraded": {"orders/db": "no answer"}})
    assert asked("ready")["degraded"] == {"orders/db": "no answer"}


def test_not_ready(daemon: Daemon) -> None:
    """503 is red with the daemon's own reason."""
    daemon.ready = Answer({"status": "refused", "reason": "the store is locked"}, 503)
    with pytest.raises(AirflowException, match="takes no changes in: the store is locked"):
        asked("ready")


@pytest.mark.parametrize(
    ("metrics", "told"),
    [
        ({"reload": 0.0}, "refused the files at its last reload"),
        ({"invalid": 2.0}, "2 files are invalid"),
        ({"loaded": 3.0}, "works on 3 pipelines, Airflow reads 1"),
    ],
)
def test_out_of_step(daemon: Daemon, metrics: dict[str, float], told: str) -> None:
    """A refused reload, an invalid file, another number of pipelines: each is told."""
    daemon.metrics |= metrics
    with pytest.raises(AirflowException, match=told):
        asked("in_step")


def test_a_pipeline_that_is_switched_off_is_not_counted(daemon: Daemon, pipelines: Path) -> None:
    """A disabled file is nobody's, one with a DAG of the user's own is the daemon's too."""
    (pipelines / "off.yaml").write_text(f"name: off\nenabled: false\n{SOURCE}")
    assert asked("in_step")["here"] == 1
    (pipelines / "own.yaml").write_text(f"name: own\ndag_id: mine\n{SOURCE}")
    daemon.metrics["loaded"] = 2.0
    assert asked("in_step")["here"] == 2


def test_a_difference_in_the_sums(daemon: Daemon) -> None:
    """Changes without a known fate are a bug, and red."""
    daemon.metrics["difference"] = -4.0
    with pytest.raises(AirflowException, match="-4 changes are recorded and have no known fate"):
        asked("ledger")


def test_changes_that_wait_too_long(daemon: Daemon) -> None:
    """Past `max_wait` and its grace it is red; a pipeline without `max_wait` may wait as long as the DAG's params say."""
    grown = timedelta(minutes=20).total_seconds()
    daemon.oldest = {"orders": time.time() - grown, "slow": time.time() - grown}

    with pytest.raises(AirflowException, match=r"wait too long: orders for 20m$"):
        asked("oldest_pending")
    assert asked("oldest_pending", grace_minutes=30)["seconds"]["slow"] >= grown
    with pytest.raises(AirflowException, match="slow for 20m"):
        asked("oldest_pending", grace_minutes=30, longest_hours=0.1)


def test_another_program_at_the_address(daemon: Daemon) -> None:
    """An address where something else answers is red in words, not with a trace about a missing key."""
    daemon.server.answer = lambda _: Answer(b"<html>")
    with pytest.raises(AirflowException, match="not the address of a watcher"):
        asked("ready")
    with pytest.raises(AirflowException, match="is this the address of a watcher"):
        asked("ledger")
    daemon.server.answer = lambda _: Answer(b"", 302, {"Location": "http://elsewhere.example"})
    with pytest.raises(AirflowException, match="/metrics answers 302"):
        asked("ledger")
    daemon.server.answer = lambda _: Answer(b"x" * (LARGEST + 1))
    with pytest.raises(AirflowException, match="larger than 16 MiB"):
        asked("ledger")


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that is away is red; without any address the task says what to set."""
    monkeypatch.setenv("WATCHER_OPS_URL", "http://127.0.0.1:1")
    with pytest.raises(AirflowException, match=r"does not answer at 127\.0\.0\.1:1"):
        asked("ready")
    monkeypatch.setenv("WATCHER_OPS_URL", "file:///etc/passwd")
    with pytest.raises(AirflowException, match="does not answer"):
        asked("ready")
    monkeypatch.delenv("WATCHER_OPS_URL")
    with pytest.raises(ConfigError, match='no connection "watcher"'):
        asked("ready")


def test_the_address_of_a_connection(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variable the HTTP connection `watcher` is asked, with its credentials, and only where they are safe."""
    connection = {
        "conn_type": "http",
        "host": "127.0.0.1",
        "port": daemon.server.port,
        "extra": {"Authorization": "Bearer t"},
    }
    monkeypatch.delenv("WATCHER_OPS_URL")
    monkeypatch.setenv("AIRFLOW_CONN_WATCHER", json.dumps(connection))

    assert asked("ready")["status"] == "ready"
    assert daemon.server.asked[-1].headers["authorization"] == "Bearer t"
    monkeypatch.setenv("AIRFLOW_CONN_WATCHER", json.dumps(connection | {"host": "192.0.2.1"}))
    with pytest.raises(ConfigError, match="over plain http"):
        asked("ready")


def test_lines_that_are_no_samples() -> None:
    """Odd lines are left out, escaped labels are read, numbers in every spelling are numbers."""
    found = samples('a{x="1"} NaN\nb x\nno sample here\nc{q="a\\"b\\\\n\\n"} 1e+09\nd +Inf\n')

    assert [name for name, _, _ in found.all] == ["a", "c", "d"]
    assert found.by("c", "q") == {'a"b\\n\n': 1e9}
