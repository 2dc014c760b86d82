"""Any task of any DAG can read what brought its run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from running_tasks import FIRED, conf_of

from watcher.dags import batch, detected_changes
from watcher.detection import FileChange, Range
from watcher.errors import WatcherError
from watcher.pipeline.run import BatchFacts, SourceFacts, build_conf, make_run_id, manifest_bytes

ORDERS = SourceFacts("orders_db", 2, 0, {"insert": 2}, range=Range("updated_at", "2026-11-22", "2026-11-23"))
LANDING = SourceFacts("landing", 1, 3, {"insert": 1}, files=(FileChange("a%20b.csv", "insert", 3),))


def context(conf: Any) -> Any:
    return {"dag_run": SimpleNamespace(conf=conf)}


def test_batch() -> None:
    """A run that a batch brought knows its number, its reason, and per source its window or its files by name."""
    view = batch(context(conf_of(ORDERS, LANDING)))

    assert view is not None
    assert (view.batch, view.reason) == ("b000017", "changes 2 >= 1")
    assert view.sources["orders_db"].range == ORDERS.range
    assert view.sources["landing"].files == ("a b.csv",)


def test_detected_changes() -> None:
    """The sources of the conf as plain JSON, the same that a generated DAG's first tasks push to XCom."""
    conf = conf_of(ORDERS)

    assert detected_changes(context(conf)) == conf["watcher"]["sources"]
    assert detected_changes(context(conf))["orders_db"]["changes"] == 2


@pytest.mark.parametrize(
    "conf", [None, {}, {"load_type": "daily"}, {"watcher": None}, {"watcher": []}, {"watcher": {"sources": 3}}]
)
def test_without_a_batch(conf: Any) -> None:
    """A run by hand, by the clock, or with a conf of somebody else's has no batch and no changes, and fails no task."""
    assert batch(context(conf)) is None
    assert detected_changes(context(conf)) == {}


def test_lists_that_are_elsewhere(tmp_path: Path) -> None:
    """The names of many files come out of the manifest; when that is gone the task fails and does not go on with less."""
    files = tuple(FileChange(f"{'x' * 60}{n}.csv", "insert", 3) for n in range(2000))
    landing = SourceFacts("landing", 2000, 6000, {"insert": 2000}, files=files)
    facts = BatchFacts(17, "0" * 32, "orders", "orders", make_run_id(FIRED, 17), "files 1", FIRED, sources=(landing,))
    path = tmp_path / "b000017.json"
    path.write_bytes(manifest_bytes(facts))
    conf = build_conf(facts, payload="files", user_conf={}, url=None, manifest=str(path))

    view = batch(context(conf))

    assert view is not None
    assert len(view.sources["landing"].files) == 2000
    path.unlink()
    with pytest.raises(WatcherError, match=r"its manifest .* is not usable"):
        batch(context(conf))
