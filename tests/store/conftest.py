"""Every promise of the store is tested on both databases: a file of SQLite and a real PostgreSQL server."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from local.postgres import PostgresServer, running_postgres
from watcher.store import Store, open_store
from watcher.store.schema import metadata

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server for all tests; data is not synced to disk, for no test of ours pulls the plug."""
    with running_postgres(tmp_path_factory.mktemp("postgres"), settings={"fsync": "off"}) as server:
        yield server


@pytest.fixture
def new_postgres_url(postgres: PostgresServer) -> Iterator[Callable[[], str]]:
    """Makes empty databases, deleted after the test."""
    names: list[str] = []

    def make() -> str:
        names.append(f"store_{next(_numbers)}")
        return postgres.create_database(names[-1])

    yield make
    for name in names:
        postgres.drop_database(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a store that does not exist yet, on either database."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path)
    make: Callable[[], str] = request.getfixturevalue("new_postgres_url")
    return make()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with all tables and no rows."""
    folder = tmp_path_factory.mktemp("migrated")
    asyncio.run(_migrate(sqlite_url(folder)))
    return folder / "state" / "watcher.db"


@pytest.fixture(scope="session")
def migrated_database(postgres: PostgresServer) -> str:
    """A database with all tables, shared by the tests that leave the tables as they are."""
    url = postgres.create_database("migrated")
    asyncio.run(_migrate(url))
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store with all its tables, on either database."""
    if request.param == "sqlite":
        (tmp_path / "state").mkdir()
        shutil.copy(request.getfixturevalue("migrated_file"), tmp_path / "state" / "watcher.db")
        return sqlite_url(tmp_path)
    address: str = request.getfixturevalue("migrated_database")
    empty(address)
    return address


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    """An empty store on either database."""
    async with open_store(url) as opened:
        yield opened


@pytest.fixture
async def twin(url: str, store: Store) -> AsyncIterator[Store]:
    """A second daemon on the same PostgreSQL; on SQLite, which allows one only, the same store."""
    async with AsyncExitStack() as stack:
        yield store if url.startswith("sqlite") else await stack.enter_async_context(open_store(url))


def sqlite_url(folder: Path) -> str:
    return f"sqlite:///{folder}/state/watcher.db"


def empty(url: str) -> None:
    """Deletes every row of a PostgreSQL store; much quicker than a new database."""
    with psycopg.connect(url) as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(sql.SQL("delete from {}").format(sql.Identifier(table.name)))


async def _migrate(url: str) -> None:
    async with open_store(url, migrate=True):
        pass
