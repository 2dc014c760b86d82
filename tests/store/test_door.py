"""What the drivers raise, in our words."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from tests.store.conftest import empty, sqlite_url
from tests.store.making import NOW, found, load, recorded
from watcher.detection import InventoryChange, Known
from watcher.errors import StoreError, WatcherError
from watcher.store import Store, looks, open_store
from watcher.store.door import translate, translated


@pytest.fixture
async def on_sqlite(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(sqlite_url(tmp_path)) as store:
        yield store


@pytest.fixture
async def on_postgres(migrated_database: str) -> AsyncIterator[Store]:
    empty(migrated_database)
    async with open_store(migrated_database) as store:
        yield store


async def test_a_full_disk_stores_nothing_and_heals(on_sqlite: Store) -> None:
    """`store-full` while there is no room: the cursor stays and reading works; with room again the same look is stored."""
    state = await recorded(on_sqlite, found(1, {"at": 1}))
    big = InventoryChange(put={f"{number:05}": Known("x" * 200) for number in range(5000)})
    await _limit_pages(on_sqlite, 1)
    with pytest.raises(StoreError) as refused:
        await looks.record(on_sqlite, state, found(2, {"at": 2}, inventory=big), NOW)
    assert refused.value.code == "store-full"
    assert await load(on_sqlite) == state
    await _limit_pages(on_sqlite, 1_000_000)
    after = await looks.record(on_sqlite, state, found(2, {"at": 2}, inventory=big), NOW)
    assert after is not None
    assert after.cursor == {"at": 2}


async def test_a_file_locked_by_another_program_is_busy(on_sqlite: Store, tmp_path: Path) -> None:
    """`store-busy` after the time to wait; when the other one is done, it works."""
    async with on_sqlite.write() as connection:
        await connection.exec_driver_sql("pragma busy_timeout = 50")
    with closing(sqlite3.connect(tmp_path / "state" / "watcher.db", isolation_level=None)) as other:
        other.execute("begin immediate")
        with pytest.raises(StoreError) as refused:
            await load(on_sqlite)
        assert refused.value.code == "store-busy"
        other.execute("rollback")
    await load(on_sqlite)


async def test_a_file_damaged_while_running_is_damaged(on_sqlite: Store, tmp_path: Path) -> None:
    """Garbage under a running daemon is not an outage that passes."""
    await recorded(on_sqlite, found())
    with (
        pytest.raises(StoreError) as refused,
        translated("here"),
        closing(sqlite3.connect(_garbage(tmp_path))) as broken,
    ):
        broken.execute("select * from anything")
    assert refused.value.code == "store-damaged"


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("53100", "store-full"),
        ("53300", "store-busy"),
        ("40001", "store-busy"),
        ("40P01", "store-busy"),
        ("55P03", "store-busy"),
        ("57014", "store-busy"),
        ("57P01", "store-unreachable"),
        ("57P03", "store-unreachable"),
        ("08006", "store-unreachable"),
        ("25006", "store-unreachable"),
        ("28P01", "store-unreachable"),
        ("3D000", "store-unreachable"),
        ("58030", "store-unreachable"),
        ("XX001", "store-damaged"),
    ],
)
async def test_what_postgresql_raises(on_postgres: Store, state: str, code: str) -> None:
    """Each state of the server that is no bug of ours has its code, and the store works on."""
    with pytest.raises(StoreError, match="no luck today") as refused:
        await _execute(on_postgres, f"do $$ begin raise exception 'no luck today' using errcode = '{state}'; end $$")
    assert refused.value.code == code
    assert isinstance(refused.value.__cause__, SQLAlchemyError)
    await load(on_postgres)


async def test_a_connection_cut_in_a_transaction_is_unreachable(on_postgres: Store) -> None:
    """The server ends our session between two statements: nothing is stored and the next transaction has a new session."""

    async def cut() -> None:
        async with on_postgres.write() as connection:
            await connection.execute(text("insert into counter values ('a', 1)"))
            session = (await connection.execute(text("select pg_backend_pid()"))).scalar_one()
            await _execute(on_postgres, f"select pg_terminate_backend({session})")
            await connection.execute(text("select 1"))

    with pytest.raises(StoreError) as refused:
        await asyncio.wait_for(cut(), 10)
    assert refused.value.code == "store-unreachable"
    async with on_postgres.read() as connection:
        assert (await connection.execute(text("select count(*) from counter"))).scalar_one() == 0


async def test_our_own_bug_is_not_an_outage(store: Store) -> None:
    """A statement that can never work is `internal`: repeating it would hide it."""
    with pytest.raises(WatcherError) as refused:
        await _execute(store, "select nothing from nowhere")
    assert not isinstance(refused.value, StoreError)
    assert refused.value.code == "internal"


async def test_a_broken_rule_shows_no_values(store: Store) -> None:
    """The message of a refused row has neither the SQL nor what was in it."""
    await _execute(store, "insert into counter values ('geheim', 1)")
    with pytest.raises(WatcherError) as refused:
        await _execute(store, "insert into counter values ('geheim', 1)")
    assert "geheim" not in str(refused.value)
    assert "insert" not in str(refused.value)


def test_what_is_not_of_a_database_goes_through() -> None:
    """A bug inside of a transaction keeps its own face."""
    with pytest.raises(ZeroDivisionError), translated("here"):
        _ = 1 // 0


def test_a_lost_connection_without_a_number_is_unreachable() -> None:
    """Drivers raise bare system errors when the network goes."""
    assert translate(ConnectionResetError("reset"), "here").code == "store-unreachable"
    assert translate(TimeoutError(), "here").code == "store-unreachable"
    assert str(translate(TimeoutError(), "here")) == "the store at here: TimeoutError"


async def _execute(store: Store, statement: str) -> None:
    async with store.write() as connection:
        await connection.execute(text(statement))


async def _limit_pages(store: Store, pages: int) -> None:
    """The file may have that many pages, or as many as it has."""
    async with store.write() as connection:
        await connection.exec_driver_sql(f"pragma max_page_count = {pages}")


def _garbage(folder: Path) -> Path:
    path = folder / "garbage.db"
    path.write_bytes(b"\xa5" * 8192)
    return path
