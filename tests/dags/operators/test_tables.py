"""How a table is read: which rows, which write disposition, which words when a database refuses."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from watcher.dags.operators.loading import prepare_dlt
from watcher.dags.operators.tables import Reading, all_tables, open_engine, query_resource, table_resources
from watcher.detection import Range
from watcher.errors import ConfigError, SourceError

prepare_dlt()

WINDOW = Range("at", "2026-11-22 14:00", "2026-11-22 15:00")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Any]:
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("create table orders (id integer primary key, at timestamp, n int)")
        connection.execute('create table "odd; drop" ("a ""b" int, at timestamp)')
        times = ["2026-11-22 14:00", "2026-11-22 14:30", "2026-11-22 15:00", "2026-11-22T14:30", None]
        connection.executemany("insert into orders values (?, ?, ?)", [(n, at, n) for n, at in enumerate(times)])
    connection.close()
    engine = open_engine(f"sqlite:///{tmp_path / 'shop.db'}")
    yield engine
    engine.dispose()


@pytest.mark.parametrize(
    ("reading", "key", "disposition"),
    [
        (Reading("at"), ("id",), "merge"),
        (Reading("at"), (), "append"),
        (Reading("at", WINDOW), ("id",), "merge"),
        (Reading(), ("id",), "replace"),
        (Reading(), (), "replace"),
        (Reading("at", disposition="append"), ("id",), "append"),
        (Reading(disposition="merge"), ("id",), "merge"),
    ],
)
def test_disposition(reading: Reading, key: tuple[str, ...], disposition: str) -> None:
    """Merge where rows have a key, replace where everything is read, append else; what the file says goes before."""
    assert reading.disposition_for(key) == disposition


def test_window_compares_as_the_source_does(engine: Any) -> None:
    """SQLite's texts are compared as the texts they are, as the detector compares them; NULL lies in no window."""
    (resource,) = table_resources(engine, ["orders"], Reading("at", WINDOW))

    assert [row["id"] for row in resource] == [1, 2]


def test_numbers_in_a_window(engine: Any) -> None:
    """A sequence is a window too."""
    (resource,) = table_resources(engine, ["orders"], Reading("n", Range("n", 1, 3)))

    assert [row["id"] for row in resource] == [2, 3]


def test_odd_names(engine: Any) -> None:
    """Names are quoted, whatever stands in them."""
    (resource,) = table_resources(engine, ["odd; drop"], Reading())

    assert list(resource) == []
    assert all_tables(engine) == ("odd; drop", "orders")


def test_same_name_twice(engine: Any) -> None:
    """Two tables of one name in two schemas do not land in one table."""
    resources = table_resources(engine, ["main.orders", "orders"], Reading())

    assert [resource.name for resource in resources] == ["main_orders", "orders"]
    with pytest.raises(ConfigError, match="2 tables cannot all be loaded into one table mart"):
        table_resources(engine, ["main.orders", "orders"], Reading(table="mart"))


def test_source_is_only_read(engine: Any) -> None:
    """A query that would write is refused by the database itself."""
    resource = query_resource(engine, "delete from orders returning id", "q", Reading())

    with pytest.raises(Exception, match="extract") as caught:
        list(resource)

    causes = []
    cause: BaseException | None = caught.value
    while cause is not None:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    (told,) = [cause for cause in causes if isinstance(cause, SourceError)]
    assert "readonly database" in str(told)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("select count(*) from orders").scalar() == 5


def test_missing_database(tmp_path: Path) -> None:
    """A SQLite file that is not there is an error, and is not made."""
    with pytest.raises(SourceError, match=r"no SQLite file .*gone\.db"):
        open_engine(f"sqlite:///{tmp_path / 'gone.db'}")

    assert not (tmp_path / "gone.db").exists()


def test_missing_column(engine: Any) -> None:
    """A column that the table does not have is named with the table."""
    with pytest.raises(SourceError, match='orders has no column "updated_at"'):
        table_resources(engine, ["orders"], Reading("updated_at"))
