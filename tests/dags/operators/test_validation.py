"""Rules against real databases: each passes, fails and breaks as it should, and says so in counts alone."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import duckdb
import pytest
from airflow.sdk.exceptions import AirflowException

from local.snowflake import SnowflakeServer
from tests.dags.checked_tables import BROKEN, FAILING, PASSING, Checked, check, rule, statements
from watcher.dags.operators.databases import hook_of
from watcher.dags.operators.destination import DuckDb
from watcher.dags.operators.target import DUCKDB, Target
from watcher.dags.operators.validation import ValidationOperator, build
from watcher.errors import ConfigError
from watcher.pipeline.graph import build_graph
from watcher.pipeline.model import Pipeline

# Snowflake's connector calls what its library no longer likes
pytestmark = pytest.mark.filterwarnings("ignore:X509.get_subject is deprecated:DeprecationWarning")

COLUMNS = ["rule", "table", "column", "severity", "passed", "failing", "checked", "seconds", "error", "name"]


def in_duckdb(folder: Path, monkeypatch: pytest.MonkeyPatch, schema: str = "shop_data") -> dict[str, Any]:
    file = folder / "warehouse.duckdb"
    monkeypatch.setenv("WATCHER_DUCKDB", str(file))
    with duckdb.connect(str(file)) as connection:
        connection.execute(f'create schema "{schema}"')
        for statement in statements(f'"{schema}".'):
            connection.execute(statement)
    return {"target": Target(DUCKDB, schema)}


def in_sqlite(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    import sqlite3

    monkeypatch.setenv("AIRFLOW_CONN_LITE", f"sqlite:///{folder / 'lite.db'}")
    connection = sqlite3.connect(folder / "lite.db", isolation_level=None)
    for statement in statements():
        connection.execute(statement)
    connection.close()
    return {"conn_id": "lite"}


def in_postgres(url: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    import psycopg

    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("drop schema if exists shop_data cascade")
        connection.execute("create schema shop_data")
        for statement in statements("shop_data."):
            connection.execute(statement)  # type: ignore[call-overload]
    return {"target": Target("warehouse", "shop_data")}


@pytest.fixture(params=["duckdb", "sqlite", "postgres", "snowflake"])
def there(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The options of an operator that works in a database of each kind, which has both tables."""
    if request.param == "duckdb":
        return in_duckdb(tmp_path, monkeypatch)
    if request.param == "sqlite":
        return in_sqlite(tmp_path, monkeypatch)
    if request.param == "postgres":
        return in_postgres(request.getfixturevalue("postgres_url"), monkeypatch)
    request.getfixturevalue("snowflake")
    made = [f"drop table if exists {table}" for table in ("orders", "customers", "unsold")]
    hook_of("snowflake_default").run([*made, *statements()], autocommit=True)
    return {"conn_id": "snowflake_default"}


@pytest.fixture
def warehouse_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The options for the DuckDB file alone."""
    return in_duckdb(tmp_path, monkeypatch)


def without_seconds(checked: Checked) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key not in ("seconds", "name")} for row in checked.table]


def test_rules_that_pass(there: dict[str, Any]) -> None:
    """Every rule passes on rows that meet it, and the task is green."""
    checked = check(*(rule(kind, **keys) for kind, keys in PASSING.items()), **there)

    assert checked.error is None
    assert [(row["rule"], row["passed"], row["failing"], row["error"]) for row in checked.table] == [
        (kind, True, 0, None) for kind in PASSING
    ]


def test_rules_that_fail(there: dict[str, Any]) -> None:
    """Every rule counts the rows that do not meet it; all of them run before the task is red."""
    checked = check(*(rule(kind, **keys) for kind, (keys, _, _) in FAILING.items()), **there)

    assert (checked.error or "").startswith(
        "8 of 8 rules failed: not_null orders.status: 1 of 4 fail; unique orders.id: "
    )
    for row, (kind, (_, failing, of)) in zip(checked.table, FAILING.items(), strict=True):
        assert (row["rule"], row["passed"], row["failing"], row["error"]) == (kind, False, failing, None)
        assert row["checked"] == of or (of is None and 3600 <= row["checked"] < 3700)


def test_rules_that_cannot_be_asked(there: dict[str, Any]) -> None:
    """A missing column or table breaks its own rule, by name; those after it still run."""
    broken = [rule(kind, **keys) for kind, keys in BROKEN.items()]
    checked = check(*broken, rule("not_null", column="id"), **there)

    assert (checked.error or "").startswith(f"{len(broken)} of {len(broken) + 1} rules failed")
    assert checked.table[-1]["passed"]
    for row in checked.table[:-1]:
        assert (row["passed"], row["failing"], row["checked"]) == (False, None, None)
        assert "missing" in row["error"].lower()
        assert "\n" not in row["error"]


def test_warning_stays_green(there: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """A failed rule of severity warn is in the result and in the log, and the task goes on."""
    checked = check(rule("not_null", column="status", severity="warn", name="has_status"), rule("row_count"), **there)

    assert checked.error is None
    assert "warning: not_null orders.status (has_status): 1 of 4 fail" in capsys.readouterr().out
    assert without_seconds(checked) == [
        {"rule": "not_null", "table": "orders", "column": "status", "severity": "warn", "passed": False, "failing": 1,
         "checked": 4, "error": None},
        {"rule": "row_count", "table": "orders", "column": None, "severity": "error", "passed": True, "failing": 0,
         "checked": 4, "error": None},
    ]  # fmt: skip


def test_nothing_of_a_row_gets_out(there: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Neither the result nor the error nor the log has a value of a row, even where the database itself quotes one."""
    checked = check(
        rule("accepted_values", column="status", values=("new",)),
        rule("unique", column="status"),
        rule("sql", sql="select cast(status as integer) as n from orders where cast(status as integer) > 1"),
        rule("freshness", column="status", max_age=PASSING["freshness"]["max_age"]),
        **there,
    )
    log = capsys.readouterr()

    assert [list(row) for row in checked.table] == [COLUMNS] * 4
    assert "FAILED" in log.out
    assert "hunter2" not in json.dumps(checked.table) + str(checked.error) + log.out + log.err


def test_names_are_quoted(there: dict[str, Any]) -> None:
    """A name is a name, whatever it has in it: it is looked for, and never run."""
    nasty = 'id" is null; drop table orders; --'
    checked = check(rule("not_null", column=nasty), rule("unique", column="100% of it"), rule("row_count"), **there)

    assert [row["passed"] for row in checked.table] == [False, False, True]
    assert all(row["error"] for row in checked.table[:2])


def test_values_are_bound(there: dict[str, Any]) -> None:
    """A value with quotes and marks of a driver in it is compared as it is."""
    values = ("' or '1'='1", "%s", "100%", "?", 'a"b', "new", "paid")
    checked = check(rule("accepted_values", column="status", values=values), **there)

    assert checked.table[0]["failing"] == 1


def test_empty_table(there: dict[str, Any]) -> None:
    """No row breaks no rule about rows; a row count, and freshness without any value, fail."""
    rules = [rule(kind, **{**keys, "table": "unsold"}) for kind, keys in PASSING.items() if kind != "sql"]
    checked = check(*rules, **there)

    assert [row["rule"] for row in checked.table if not row["passed"]] == ["row_count", "freshness"]
    assert checked.table[5]["checked"] is None
    assert "freshness unsold.updated_at: holds no value" in str(checked.error)


@pytest.mark.parametrize("there", ["duckdb", "sqlite", "postgres"], indirect=True)
def test_nothing_is_written(there: dict[str, Any]) -> None:
    """SQL of a rule cannot change the database: it must be a SELECT, on a connection that only reads."""
    checked = check(
        rule("sql", sql="delete from orders"),
        rule("sql", sql="select 1) as found; delete from orders; select count(*), count(*) from (select 1"),
        rule("row_count", min=4),
        **there,
    )

    assert [row["passed"] for row in checked.table] == [False, False, True]


def test_result_for_lineage(warehouse_file: dict[str, Any]) -> None:
    """What common-sql's listeners read is filled, also for a red task."""
    operator = ValidationOperator(task_id="v", rules=[rule("unique", column="id")], **warehouse_file)
    with pytest.raises(AirflowException):
        operator.execute({"ti": Checked()})  # type: ignore[typeddict-item]

    assert [(one.check_type, one.table, one.column, one.success) for one in operator.check_results] == [
        ("unique", "orders", "id", False)
    ]


def test_several_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules with connections of their own are asked there; the result keeps the order of the file."""
    options = in_duckdb(tmp_path, monkeypatch)
    in_sqlite(tmp_path, monkeypatch)

    checked = check(
        rule("row_count", connection="lite", table="main.orders"),
        rule("row_count", table="shop_data.orders"),
        rule("row_count", connection="lite", table="shop_data.orders"),
        **options,
    )

    assert [row["passed"] for row in checked.table] == [True, True, False]


def test_dataset_by_the_name_it_has_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dataset that ingest had to rename is found by the name in the pipeline file, a schema is no must."""
    options = in_duckdb(tmp_path, monkeypatch, "shop_data")

    assert check(rule("row_count"), target=Target(DUCKDB, "Shop-Data")).error is None
    assert check(rule("row_count", table="shop_data.orders"), target=Target(DUCKDB, "nowhere")).error is None
    assert "missing" not in str(check(rule("row_count"), **options).error)


def test_target_in_snowflake(snowflake: SnowflakeServer) -> None:
    """Where the sources are loaded into Snowflake, bare names are those of the dataset's schema."""
    hook_of("snowflake_default").run(
        "create schema if not exists mart; create or replace table mart.daily as select 1 as id", autocommit=True
    )

    assert check(rule("not_null", table="daily", column="id"), target=Target("snowflake_default", "mart")).error is None
    assert check(rule("row_count", table="daily"), target=Target("snowflake_default", "public")).error is not None


def test_exact_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_url: str) -> None:
    """A name in double quotes keeps its case and its dots, as everywhere in SQL."""
    import psycopg

    options = in_postgres(postgres_url, monkeypatch)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute('create table shop_data."Or.ders" ("Id" integer)')
    checked = check(
        rule("not_null", table='shop_data."Or.ders"', column="Id"),
        rule("not_null", table='"Or.ders"', column='"Id"'),
        rule("not_null", table='"Or.ders"', column="id"),
        **options,
    )

    assert [row["passed"] for row in checked.table] == [True, True, False]


def test_waits_for_the_writer(warehouse_file: dict[str, Any], tmp_path: Path) -> None:
    """While a load has the DuckDB file the task waits, and reads what that load wrote."""
    file, done, results = DuckDb(tmp_path / "warehouse.duckdb"), threading.Event(), list[Checked]()

    def validate() -> None:
        results.append(check(rule("row_count", min=5), **warehouse_file))
        done.set()

    thread = threading.Thread(target=validate)
    with file.opened(), duckdb.connect(str(file.path)) as connection:
        thread.start()
        assert not done.wait(0.3)
        connection.execute("insert into shop_data.orders (id) values (9)")
    thread.join(20)

    assert results[0].error is None
    assert duckdb.connect(str(file.path)).execute("select 1").fetchone() == (1,)  # and has closed it again


def test_no_file_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first load there is no file: that is said, and none is made."""
    monkeypatch.setenv("WATCHER_DUCKDB", str(tmp_path / "none.duckdb"))

    assert "has anything been loaded?" in str(check(rule("row_count")).error)
    assert not (tmp_path / "none.duckdb").exists()


def test_no_such_connection() -> None:
    """A connection that Airflow does not have is named."""
    with pytest.raises(ConfigError, match='no connection "nowhere"') as caught:
        check(rule("row_count"), conn_id="nowhere")
    assert caught.value.code == "unknown-connection"


def test_database_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that does not answer fails the task without the password in the message."""
    monkeypatch.setenv("AIRFLOW_CONN_AWAY", "postgresql://me:s3cr3t-word@127.0.0.1:1/db")
    checked = check(rule("row_count"), conn_id="away")

    assert (checked.error or "").startswith("away cannot be opened")
    assert "s3cr3t-word" not in str(checked.error)


def test_not_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is no database is refused by its type."""
    monkeypatch.setenv("AIRFLOW_CONN_MAIL", "smtp://localhost")
    with pytest.raises(ConfigError, match="of type smtp, which speaks no SQL"):
        check(rule("row_count"), conn_id="mail")


def test_built_from_a_pipeline() -> None:
    """All rules of one subject are one task; it works where the sources are loaded, and renders nothing."""
    pipeline = Pipeline.model_validate(
        {
            "name": "orders",
            "sources": [{"source_id": "a", "source_type": "filesystem", "path": "/a", "ingest": {"dataset": "mart"}}],
            "validations": [
                {"rule": "unique", "table": "or ders", "column": "id"},
                {"rule": "row_count", "table": "or_ders", "severity": "warn"},
                {"rule": "row_count", "model": "daily"},
            ],
        }
    )
    tasks = build_graph(pipeline).tasks
    built = {name: build(task, pipeline, {"task_id": name}) for name, task in tasks.items() if task.kind == "validate"}

    assert [one.rule for one in built["validate_or_ders"].rules] == ["unique", "row_count"]
    assert [one.model for one in built["validate_daily"].rules] == ["daily"]
    assert built["validate_daily"].target == Target(DUCKDB, "mart")
    assert built["validate_daily"].template_fields == ()
