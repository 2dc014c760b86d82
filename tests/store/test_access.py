"""Transactions of an open store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import pytest
from sqlalchemy import select, text

from tests.store.making import NOW, CrashError, at_commit, crash, found, load, recorded
from watcher.detection import InventoryChange, Known
from watcher.errors import StoreError
from watcher.store import Store, looks, open_store_readonly
from watcher.store.looks import StoredInventory
from watcher.store.schema import counter


async def _add(store: Store, name: str) -> None:
    async with store.write() as connection:
        await connection.execute(counter.insert().values(name=name, value=1))


async def _names(store: Store) -> list[str]:
    async with store.read() as connection:
        return list(await connection.scalars(select(counter.c.name).order_by(counter.c.name)))


async def test_write_commits_at_its_end(store: Store) -> None:
    """What a block wrote is there for every reader once the block is over."""
    await _add(store, "a")
    assert await _names(store) == ["a"]


async def test_write_rolls_back_when_the_block_raises(store: Store) -> None:
    """An exception inside leaves nothing behind, comes out unchanged, and the store goes on."""

    async def fail() -> None:
        async with store.write() as connection:
            await connection.execute(counter.insert().values(name="a", value=1))
            raise CrashError

    with pytest.raises(CrashError):
        await fail()
    await _add(store, "b")
    assert await _names(store) == ["b"]


async def test_a_crash_before_the_commit_stores_nothing_of_a_detection(store: Store) -> None:
    """Cursor, detection, files, totals and inventory are stored together or not at all."""
    state = await recorded(store, found(2, {"at": 1}, inventory=InventoryChange(put={"old": Known("1")})))
    change = InventoryChange(put={"new": Known("2")}, drop=("old",))
    with at_commit(crash), pytest.raises(CrashError):
        await looks.record(store, state, found(3, {"at": 2}, inventory=change), NOW)
    assert await load(store) == state
    assert await StoredInventory(store, "orders", "db").read() == {"old": Known("1")}
    after = await looks.record(store, state, found(3, {"at": 2}), NOW)
    assert after is not None
    assert after.revision == 2


async def test_cancelled_in_the_block_rolls_back_and_frees_the_store(store: Store) -> None:
    """A task cancelled between two statements leaves nothing, and the one writing connection works at once."""
    inside = asyncio.Event()

    async def never_ends() -> None:
        async with store.write() as connection:
            await connection.execute(counter.insert().values(name="a", value=1))
            inside.set()
            await asyncio.Event().wait()

    await _cancelled_after(inside, never_ends)
    await asyncio.wait_for(_add(store, "b"), 5)
    assert await _names(store) == ["b"]


async def test_cancelled_in_a_statement_rolls_back_and_frees_the_store(store: Store) -> None:
    """A task cancelled while the database works leaves nothing, and the next writer is not kept waiting."""
    inside = asyncio.Event()

    async def slow() -> None:
        async with store.write() as connection:
            await connection.execute(counter.insert().values(name="a", value=1))
            inside.set()
            await connection.execute(text(_SLOW))

    await _cancelled_after(inside, slow)
    await asyncio.wait_for(_add(store, "b"), 10)
    assert await _names(store) == ["b"]


async def test_cancelled_while_waiting_for_its_turn_harms_nobody(store: Store) -> None:
    """A writer that gives up before it began takes nothing from the one that is writing."""
    async with store.write() as connection:
        await connection.execute(counter.insert().values(name="a", value=1))
        waiting = asyncio.ensure_future(looks.load(store, "orders", "db", "table", NOW))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert await _names(store) == ["a"]


@pytest.mark.parametrize("times", [1, 3])
async def test_cancelled_during_the_commit_the_commit_still_ends(store: Store, times: int) -> None:
    """However often a task is cancelled while it commits, the commit is whole and the cancellation comes out after it."""
    task = asyncio.ensure_future(_add(store, "a"))
    loop = asyncio.get_running_loop()

    def cancel() -> None:
        for _ in range(times):
            loop.call_soon(task.cancel)

    with at_commit(cancel), pytest.raises(asyncio.CancelledError):
        await task
    assert await _names(store) == ["a"]
    await asyncio.wait_for(_add(store, "b"), 5)


async def test_cancelled_during_a_commit_that_fails_is_still_cancelled(store: Store) -> None:
    """The cancellation is what comes out, nothing is stored, and no error is left unread."""
    task = asyncio.ensure_future(_add(store, "a"))
    loop = asyncio.get_running_loop()

    def fail() -> None:
        loop.call_soon(task.cancel)
        raise CrashError

    with at_commit(fail), pytest.raises((asyncio.CancelledError, CrashError)):
        await task
    assert await _names(store) == []
    await asyncio.wait_for(_add(store, "b"), 5)


async def test_writers_wait_for_each_other(store: Store) -> None:
    """Many writers at once are all stored: none is refused because another one writes."""
    await asyncio.gather(*(_add(store, f"n{number:02}") for number in range(20)))
    assert len(await _names(store)) == 20


async def test_a_read_sees_one_state(store: Store, twin: Store) -> None:
    """Two statements of one read agree, whatever is committed between them."""
    async with store.read() as connection:
        before = list(await connection.scalars(select(counter.c.name)))
        await _add(twin, "a")
        assert list(await connection.scalars(select(counter.c.name))) == before
    assert await _names(store) == ["a"]


async def test_a_read_cannot_write(store: Store) -> None:
    """The reading connections refuse to write, whoever tries it."""
    with pytest.raises(StoreError):
        async with store.read() as connection:
            await connection.execute(counter.insert().values(name="a", value=1))
    assert await _names(store) == []


async def test_readonly_beside_a_writer(store: Store, url: str) -> None:
    """`watcher status` reads the last committed state while the daemon is in the middle of writing."""
    await _add(store, "a")
    async with open_store_readonly(url) as looking, store.write() as connection:
        await connection.execute(counter.insert().values(name="b", value=1))
        async with looking.read() as reading:
            assert list(await reading.scalars(select(counter.c.name))) == ["a"]
        with pytest.raises(StoreError):
            async with looking.read() as reading:
                await reading.execute(counter.insert().values(name="c", value=1))


_SLOW = """
with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < 3000000)
select count(*) from numbers
"""


async def _cancelled_after(inside: asyncio.Event, work: Callable[[], Coroutine[None, None, None]]) -> None:
    task = asyncio.ensure_future(work())
    await asyncio.wait_for(inside.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
