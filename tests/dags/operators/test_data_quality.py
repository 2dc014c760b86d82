"""A suite over many tables in a DAG written by hand."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import duckdb
import pytest
from airflow.sdk import DAG

from tests.dags.checked_tables import run, statements
from watcher.dags.operators.data_quality import DataQualityOperator
from watcher.errors import ConfigError

SUITE: dict[str, list[dict[str, Any]]] = {
    "orders": [
        {"rule": "not_null", "column": "id"},
        {"rule": "unique", "column": "id", "severity": "warn"},
        {"rule": "freshness", "column": "updated_at", "max_age": "6h"},
    ],
    "customers": [{"rule": "row_count", "min": 3}, {"rule": "sql", "sql": "select * from customers where id > 2"}],
}


def test_many_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All rules of all tables are in one result, and the task is as red as the worst of them."""
    monkeypatch.setenv("AIRFLOW_CONN_LITE", f"sqlite:///{tmp_path / 'lite.db'}")
    connection = sqlite3.connect(tmp_path / "lite.db", isolation_level=None)
    for statement in statements():
        connection.execute(statement)
    connection.close()

    checked = run(DataQualityOperator(task_id="quality", checks=SUITE, conn_id="lite", dag=DAG("mine")))

    assert [(row["table"], row["rule"], row["passed"]) for row in checked.table] == [
        ("orders", "not_null", True),
        ("orders", "unique", False),
        ("orders", "freshness", True),
        ("customers", "row_count", True),
        ("customers", "sql", False),
    ]
    assert checked.error == "1 of 5 rules failed: sql customers: 1 rows"


def test_the_file_that_ingest_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a connection it is the DuckDB file, the named dataset first."""
    monkeypatch.setenv("WATCHER_DUCKDB", str(tmp_path / "w.duckdb"))
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        connection.execute("create schema shop")
        for statement in statements("shop."):
            connection.execute(statement)

    suite = {"orders": SUITE["orders"]}
    assert run(DataQualityOperator(task_id="quality", checks=suite, dataset="shop")).error is None


@pytest.mark.parametrize(
    ("checks", "told"),
    [
        (
            {"orders": [{"rule": "not_null", "column": "id"}, {"rule": "uniqe", "column": "id"}]},
            r"\['orders'\]\[1\].rule: ",
        ),
        ({"orders": [{"rule": "unique"}]}, "rule: unique needs a column"),
        ({"orders": [{"rule": "row_count", "mni": 1}]}, "mni"),
        ({'a"b': [{"rule": "row_count"}]}, "is not the name of a table"),
    ],
)
def test_a_wrong_suite_does_not_load(checks: dict[str, Any], told: str) -> None:
    """A rule that is none is told with its table and place when the DAG is read, not when it runs."""
    with pytest.raises(ConfigError, match=told):
        DataQualityOperator(task_id="quality", checks=checks)


def test_nothing_is_a_template() -> None:
    """No field is rendered, so nothing of a conf becomes SQL."""
    assert DataQualityOperator(task_id="quality", checks=SUITE).template_fields == ()
