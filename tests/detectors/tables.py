"""Real tables for the tests of the table detectors: on SQLite and on PostgreSQL, with what writes to them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg

from tests.detectors.conformance import Case, Keeper, StartFrom
from watcher.detection import Detector
from watcher.detectors import Context, make_detector
from watcher.pipeline.model import DatabaseSource, TablePolling, TableTimestamp

LIMIT = 1_000
TIMES = "id bigserial primary key, v int, updated_at {} default now()"


class Source:
    """A database that tests write to. `url` is how a connection names it."""

    url: str

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """One statement in a transaction of its own; the rows it answers. Parameters are written as `?`."""
        raise AssertionError("a source says how")


class SqliteSource(Source):
    """A database file in WAL mode."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"
        self.run("PRAGMA journal_mode = WAL")

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            return connection.execute(statement, parameters).fetchall()


class PostgresSource(Source):
    """A database on the real server."""

    def __init__(self, url: str, connection: psycopg.Connection) -> None:
        self.url, self.connection = url, connection

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        cursor = self.connection.execute(statement.replace("?", "%s"), parameters or None)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []


def put(source: SqliteSource, *rows: tuple[Any, ...]) -> None:
    for row in rows:
        source.run("insert or replace into orders values(?, ?, ?)", row)


def timestamp(source: Source, table: str = "orders", **watch: Any) -> Detector:
    """A detector of method timestamp; `query` and `tables` go to the source, all else to `watch:`."""
    given: dict[str, Any] = {key: watch.pop(key) for key in ("query", "tables") if key in watch}
    spec = TableTimestamp(**{"column": "updated_at", "overlap": timedelta(minutes=10), **watch})
    made = DatabaseSource(source_id="shop", watch=spec, **(given or {"table": table}))
    return make_detector(made, Context(source.url))


def polling(source: Source, **watch: Any) -> Detector:
    """A detector of method polling."""
    given: dict[str, Any] = {key: watch.pop(key) for key in ("query", "tables") if key in watch}
    spec = TablePolling(**watch)
    return make_detector(
        DatabaseSource(source_id="shop", watch=spec, **(given or {"table": "orders"})), Context(source.url)
    )


class TableCase(Case):
    """A table `orders(id, v, updated_at)` that grows; broken by taking the table, or the file, away."""

    def __init__(self, source: Source, columns: str, insert: str, **watch: Any) -> None:
        self.source, self.insert, self.watch = source, insert, watch
        source.run(f"create table orders({columns})")
        self.add(self.existing)

    def add(self, n: int) -> None:
        for _ in range(n):
            self.source.run(self.insert)

    async def make(self, start_from: StartFrom = "now") -> Detector:
        return timestamp(self.source, start_from=start_from, **self.watch)

    async def change(self, n: int) -> None:
        self.add(n)

    async def break_source(self) -> str:
        if isinstance(self.source, SqliteSource):
            self.source.path.rename(self.source.path.with_name("away.db"))
            return "source-unreachable"
        self.source.run("alter table orders rename to away")
        return "source-schema"

    async def mend_source(self) -> None:
        if isinstance(self.source, SqliteSource):
            self.source.path.with_name("away.db").rename(self.source.path)
        else:
            self.source.run("alter table away rename to orders")


class PollingCase(TableCase):
    """The same table, watched by its content."""

    async def make(self, start_from: StartFrom = "now") -> Detector:
        return polling(self.source, start_from=start_from, **self.watch)


async def found(detector: Detector, keeper: Keeper, limit: int = LIMIT) -> int:
    """The changes that looks find until nothing more is announced."""
    return await keeper.drain(detector, limit)
