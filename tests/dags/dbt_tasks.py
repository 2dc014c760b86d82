"""Runs a transformation of a generated DAG as a task would, in the DuckDB file of the test."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
from running_tasks import conf_of

from watcher.dags.factory import Origin, build_dag
from watcher.dags.operators.transformation import TransformationOperator
from watcher.pipeline.facts import SourceFacts
from watcher.pipeline.model import DatabaseSource, Pipeline, TableTimestamp

PROJECT = Path(__file__).parent / "dbt_project"
LOADED = (
    "create schema orders",
    "create table orders.orders (id integer, amount integer, updated_at timestamp)",
    "insert into orders.orders values (1, 10, '2026-11-21 10:00'), (2, 20, '2026-11-22 10:00'), (3, 5, '2026-11-22 11:00')",
    "create table orders.customers (id integer, country text)",
    "insert into orders.customers values (1, 'AT'), (2, 'AT')",
)
"""What ingest has loaded: three orders on two days, two customers."""


def executable() -> str:
    """The dbt of this environment, as a program."""
    return str(Path(sys.executable).with_name("dbt"))


def write(*statements: str) -> None:
    """Run SQL in the file that ingest writes to."""
    file = Path(os.environ["WATCHER_DUCKDB"])
    file.parent.mkdir(exist_ok=True)
    with duckdb.connect(str(file)) as connection:
        for statement in statements:
            connection.execute(statement)


def pipeline(*transformations: dict[str, Any], **keys: Any) -> Pipeline:
    """Two watched sources, loaded into DuckDB, and these transformations."""
    watch = TableTimestamp(column="updated_at")
    sources = (
        DatabaseSource(source_id="orders_db", connection="shop_db", table="public.orders", watch=watch),
        DatabaseSource(source_id="crm_db", connection="crm_db", table="customers", watch=watch),
    )
    return Pipeline.model_validate({"name": "orders", "sources": sources, "transformations": transformations, **keys})


class Build:
    """One transformation of a generated DAG, run as a task would be; `pushed` is what it gave to XCom beside its result."""

    def __init__(self, **transformation: Any) -> None:
        written = pipeline(transformation)
        self.dag = build_dag(written, Origin("pipelines/orders.yaml", Path("/opt/airflow/dags/loader.py")))
        self.pushed: dict[str, Any] = {}

    @property
    def operator(self) -> TransformationOperator:
        (operator,) = (task for task in self.dag.tasks if isinstance(task, TransformationOperator))
        return operator

    def run(self, conf: dict[str, Any] | None = None) -> Any:
        run = SimpleNamespace(conf=conf or {}, run_id="manual")
        return self.operator.execute({"dag_run": run, "ti": self, "run_id": "manual"})  # type: ignore[arg-type]

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def built(**transformation: Any) -> Any:
    """What one task of this transformation answers."""
    return Build(**transformation).run()


def batch_of(**changes: int) -> dict[str, Any]:
    """The conf of a run for a batch with so many changes of each source."""
    return conf_of(*(SourceFacts(source, count, 0, {"update": count}) for source, count in changes.items()))
