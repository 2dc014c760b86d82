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

    assert sorted(found.dags) == ["example_reads_batch", "orders", "watcher_health"]
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


@pytest.mark.filterwarnings("ignore")  # as above
def test_red_where_a_rule_fails(metadata: Path, pipelines: Path, shop: sqlite3.Connection, warehouse: object) -> None:
    """The task of a failed rule is red and has the whole result in XCom; a warning is green; what waits for it does not run."""
    (pipelines / "shop.yaml").write_text(
        "name: shop\n"
        "sources:\n"
        "  - {source_id: orders_db, source_type: database, connection: shop_db, table: orders, watch: {column: updated_at}}\n"
        "validations:\n"
        "  - {table: orders, rule: unique, column: id}\n"
        "  - {table: orders, rule: accepted_values, column: item, values: [tea]}\n"
        "  - {name: enough, rule: sql, sql: select 1 from orders having count(*) < 9, severity: warn}\n"
        "snowflake: [{name: publish, sql: select 1}]\n"
        "retries: {validate: 0}\n"
    )
    shop.executemany("insert into orders values (?, ?, '2026-11-22T14:00')", [(1, "tea"), (2, "c4nary")])

    run = bag(metadata).dags["shop"].test(run_conf={})

    tasks = {task.task_id: task for task in run.get_task_instances()}
    assert {name: str(task.state) for name, task in tasks.items()} == {
        "ingest_orders_db": "success",
        "validate_orders": "failed",
        "validate_enough": "success",
        "snowflake_publish": "upstream_failed",
    }
    found = tasks["validate_orders"].xcom_pull(task_ids="validate_orders")
    assert [(row["rule"], row["failing"], row["checked"]) for row in found] == [
        ("unique", 0, 2),
        ("accepted_values", 1, 2),
    ]
    (warned,) = tasks["validate_enough"].xcom_pull(task_ids="validate_enough")
    assert (warned["passed"], warned["failing"], warned["severity"]) == (False, 1, "warn")


@pytest.mark.filterwarnings("ignore")  # as above; dbt's libraries warn about themselves too
def test_transformed_by_dbt(
    metadata: Path,
    pipelines: Path,
    shop: sqlite3.Connection,
    warehouse: Callable[[str], list[Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What ingest has loaded is built on by dbt, task after task, and a rule checks the outcome in the same database."""
    monkeypatch.setenv("WATCHER_DBT_PROJECT", str(Path(__file__).parent / "dbt_project"))
    shop.execute("alter table orders add column amount integer")
    (pipelines / "orders.yaml").write_text(
        "name: orders\n"
        "sources:\n"
        "  - {source_id: orders_db, source_type: database, connection: shop_db, table: orders, watch: {column: updated_at}}\n"
        "transformations:\n"
        "  - model_name: staging_orders\n"
        "  - {model_name: orders_daily, select: 'changed,orders_daily'}\n"
        "  - {model_name: broken, trigger_rule: all_done}\n"
        "validations: [{model: orders_daily, rule: row_count, min: 2, max: 2}]\n"
        "dependencies:\n"
        "  transform_broken: [transform_orders_daily]\n"
        "  validate_orders_daily: [transform_orders_daily]\n"
        "retries: {transform: 0}\n"
    )
    shop.executemany("insert into orders values (?, 'x', ?, ?)", [(n, f"2026-11-2{n}T14:00", n) for n in (1, 2)])
    seen = SourceFacts("orders_db", 2, 0, {"insert": 2}, range=Range("updated_at", None, "2026-11-22T14:00"))

    run = bag(metadata).dags["orders"].test(run_conf=conf_of(seen))

    tasks = {task.task_id: task for task in run.get_task_instances()}
    assert {name: str(task.state) for name, task in tasks.items()} == {
        "ingest_orders_db": "success",
        "transform_staging_orders": "success",
        "transform_orders_daily": "success",
        "transform_broken": "failed",
        "validate_orders_daily": "success",
    }
    assert warehouse("select orders, amount from orders.orders_daily order by day") == [(1, 1), (1, 2)]
    built = tasks["transform_orders_daily"].xcom_pull(task_ids="transform_orders_daily")
    assert (built["orders_daily"]["status"], built["orders_daily"]["rows"]) == ("success", None)
    failed = tasks["transform_broken"].xcom_pull(task_ids="transform_broken")
    assert failed["broken"]["status"] == "error"
