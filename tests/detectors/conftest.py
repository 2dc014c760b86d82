"""A real PostgreSQL for the detectors' tests, empty at the start of each test that asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from local.postgres import PostgresServer, running_postgres
from tests.detectors.tables import PostgresSource, SqliteSource

DATABASE = "shop"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server for all tests; data is not synced to disk, for no test of ours pulls the plug."""
    with running_postgres(tmp_path_factory.mktemp("postgres"), settings={"fsync": "off"}) as server:
        server.create_database(DATABASE)
        yield server


@pytest.fixture
def shop(postgres: PostgresServer) -> Iterator[PostgresSource]:
    """A database with an empty schema; whoever is still connected afterwards failed to close."""
    with psycopg.connect(postgres.url(DATABASE), autocommit=True) as connection:
        source = PostgresSource(postgres.url(DATABASE), connection)
        source.run("drop schema public cascade")
        source.run("create schema public")
        yield source
        assert gone(source), "a connection was left open"


def gone(source: PostgresSource) -> bool:
    """Whether all other sessions end within seconds: the server needs a moment to see that a client has left."""
    others = "from pg_stat_activity where backend_type = 'client backend' and datname = current_database() and pid <> pg_backend_pid()"
    for _ in range(250):
        if not source.run(f"select 1 {others}"):
            return True
        source.run("select pg_sleep(0.02)")
    source.run(f"select pg_terminate_backend(pid) {others}")
    return False


@pytest.fixture
def file(tmp_path: Path) -> SqliteSource:
    """A SQLite database with an empty table of orders; its column holds whatever is put there."""
    source = SqliteSource(tmp_path / "shop.db")
    source.run("create table orders(id integer primary key, v, updated_at)")
    return source
