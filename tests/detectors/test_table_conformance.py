"""The promises of every detector, kept by the table detectors on real SQLite files and the real PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.detectors.conformance import Case, DetectorConformance
from tests.detectors.tables import PollingCase, PostgresSource, SqliteSource, TableCase

SQLITE = {
    "text": ("id integer primary key, v, updated_at text default current_timestamp", {}),
    "text without key": ("v, updated_at text default (strftime('%Y-%m-%dT%H:%M:%fZ'))", {}),
    "number": ("id integer primary key, v", {"column": "id"}),
    "query": (
        "id integer primary key, v, updated_at text default current_timestamp",
        {"query": "select id, updated_at as seen from orders where id > 0 -- all;", "column": "seen", "key": ("id",)},
    ),
}
POSTGRESQL = {
    "timestamptz": ("id bigserial primary key, v int, updated_at timestamptz default clock_timestamp()", {}),
    "timestamp": ("id bigserial primary key, v int, updated_at timestamp default clock_timestamp()", {}),
    "date without key": ("v int default random() * 1000000, updated_at date default current_date", {}),
    "sequence": ("id bigserial primary key, v int", {"column": "id"}),
    "numeric": ("id bigserial primary key, v numeric default extract(epoch from clock_timestamp())", {"column": "v"}),
    "query": (
        "id bigserial primary key, v int, updated_at timestamptz default clock_timestamp()",
        {"query": "select id, updated_at::text || '' as t, updated_at from orders;", "key": ("id",)},
    ),
}
INSERT = "insert into orders(v) values(1)"
COPY = "insert into orders(v) select 1 + count(*) from orders"


class TestTimestampSqlite(DetectorConformance):
    """Method timestamp on SQLite."""

    @pytest.fixture(params=SQLITE)
    def case(self, tmp_path: Path, request: pytest.FixtureRequest) -> Case:
        columns, watch = SQLITE[request.param]
        return TableCase(SqliteSource(tmp_path / "shop.db"), columns, INSERT, **watch)


class TestTimestampPostgresql(DetectorConformance):
    """Method timestamp on PostgreSQL."""

    @pytest.fixture(params=POSTGRESQL)
    def case(self, shop: PostgresSource, request: pytest.FixtureRequest) -> Case:
        columns, watch = POSTGRESQL[request.param]
        insert = INSERT if "v int" in columns else "insert into orders default values"
        return TableCase(shop, columns, insert, **watch)


class TestPollingSqlite(DetectorConformance):
    """Method polling on SQLite: the table, a query, and row by row."""

    @pytest.fixture(params=["table", "query", "rows"])
    def case(self, tmp_path: Path, request: pytest.FixtureRequest) -> Case:
        source = SqliteSource(tmp_path / "shop.db")
        return polling_case(source, "id integer primary key, v", request.param)


class TestPollingPostgresql(DetectorConformance):
    """Method polling on PostgreSQL: the table, a query, and row by row."""

    @pytest.fixture(params=["table", "query", "rows"])
    def case(self, shop: PostgresSource, request: pytest.FixtureRequest) -> Case:
        return polling_case(shop, "id bigserial primary key, v int", request.param)


def polling_case(source: SqliteSource | PostgresSource, columns: str, way: str) -> Case:
    watch = {"table": {}, "query": {"query": "select max(id), count(*) from orders"}, "rows": {"compare": "rows"}}[way]
    case = PollingCase(source, columns, COPY, **watch)
    case.counts_each = case.limited = way == "rows"
    return case
