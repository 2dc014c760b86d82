"""The real loader file, run by Airflow itself from the file on disk to the rows at the destination."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from running_tasks import conf_of

from watcher.detection import Range
from watcher.pipeline.run import SourceFacts

LOADERS = Path(__file__).parents[2] / "airflow" / "dags"


@pytest.fixture(scope="session")
def metadata() -> Path:
    """Airflow's home with a migrated metadata database and our loaders in its DAGs folder."""
    home = Path(os.environ["AIRFLOW_HOME"])
    for file in LOADERS.glob("*.py"):
        shutil.copy(file, home / "dags")
    subprocess.run([str(Path(sys.executable).with_name("airflow")), "db", "migrate"], check=True, capture_output=True)
    return home


def bag(home: Path) -> DagBag:
    return DagBag(dag_folder=str(home / "dags"))


def test_airflow_reads_the_loaders(metadata: Path, pipelines: Path) -> None:
    """Airflow's own parser finds a DAG per good file, belonging to the loader, and the problems of the bad one as an import error."""
    source = "sources: [{source_id: db, source_type: database, connection: c, table: t, watch: {column: at}}]\n"
    (pipelines / "orders.yaml").write_text(f"name: orders\n{source}")
    (pipelines / "bad.yaml").write_text(f"name: bad\nownr: x\n{source}")

    found = bag(metadata)

    assert list(found.dags) == ["orders"]
    assert found.dags["orders"].fileloc == str(metadata / "dags" / "watcher_pipelines.py")
    assert [Path(path).name for path in found.import_errors] == ["watcher_problems.py"]
    assert 'did you mean "owner"' in next(iter(found.import_errors.values()))


@pytest.mark.filterwarnings("ignore")  # the server inside of Airflow's `dag.test` warns about its own libraries
def test_whole_run(
    metadata: Path, pipelines: Path, shop: sqlite3.Connection, warehouse: Callable[[str], list[Any]]
) -> None:
    """A run with a batch's conf loads the batch's rows, succeeds, and its counts and changes are in XCom."""
    (pipelines / "shop.yaml").write_text(
        "name: shop\n"
        "sources:\n"
        "  - {source_id: orders_db, source_type: database, connection: shop_db, table: orders, watch: {column: updated_at}}\n"
    )
    shop.executemany("insert into orders values (?, 'x', ?)", [(n, f"2026-11-22T14:0{n}") for n in range(5)])
    seen = SourceFacts(
        "orders_db", 2, 0, {"insert": 2}, range=Range("updated_at", "2026-11-22T14:01", "2026-11-22T14:03")
    )
    conf = conf_of(seen, pipeline="shop")

    run = bag(metadata).dags["shop"].test(run_conf=conf)

    assert run.state == "success"
    assert warehouse("select id from shop.orders order by id") == [(2,), (3,)]
    (task,) = run.get_task_instances()
    assert task.xcom_pull(task_ids="ingest_orders_db") == {"orders": 2}
    assert task.xcom_pull(task_ids="ingest_orders_db", key="detected_changes") == conf["watcher"]["sources"]
