"""The example that is written by hand reads its batch, in a real run."""

from __future__ import annotations

from pathlib import Path

import pytest
from running_tasks import conf_of

from watcher.dags import build_example
from watcher.detection import Range
from watcher.pipeline.run import SourceFacts

NEAR = Path("/opt/airflow/dags/example_reads_batch.py")


def test_the_dag_waits_for_somebody() -> None:
    """It is paused and has no schedule, so it does nothing until a pipeline names it and somebody unpauses it."""
    dag = build_example(NEAR)["example_reads_batch"]

    assert (dag.is_paused_upon_creation, dag.schedule, dag.fileloc) == (True, None, str(NEAR))
    assert sorted(dag.task_dict) == ["look", "read"]


def test_what_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts of every source, the window of a table, the files of a folder; nothing without a batch."""
    from types import SimpleNamespace

    from watcher.dags import example

    table = SourceFacts("orders_db", 2, 0, {"insert": 2}, range=Range("updated_at", "a", "b"))
    conf = conf_of(table, SourceFacts("crm", 1, 0, {"update": 1}))
    run = SimpleNamespace(conf=conf)
    monkeypatch.setattr(example, "get_current_context", lambda: {"dag_run": run})

    assert example.look.function() == {"orders_db": 2, "crm": 1}
    assert example.read.function() == [
        {"source": "crm", "window": None, "files": 0, "deleted": 0},
        {"source": "orders_db", "window": ["updated_at", "a", "b"], "files": 0, "deleted": 0},
    ]
    run.conf = {}
    assert (example.look.function(), example.read.function()) == ({}, [])
