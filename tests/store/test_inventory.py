"""What a detector remembers moves with its cursor."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from tests.store.making import NOW, found, load, recorded
from watcher.detection import InventoryChange, Known
from watcher.store import Store, looks
from watcher.store.looks import StoredInventory


async def _read(store: Store, source_id: str = "db") -> Mapping[str, Known]:
    return await StoredInventory(store, "orders", source_id).read()


async def _apply(store: Store, change: InventoryChange) -> Mapping[str, Known]:
    await recorded(store, found(0, {"at": 1}, inventory=change))
    return await _read(store)


async def test_unknown_source_has_an_empty_inventory(store: Store) -> None:
    """The first look of a detector finds nothing remembered."""
    assert await _read(store) == {}


async def test_put_adds_and_replaces(store: Store) -> None:
    """The newest value and rank of a key count."""
    await _apply(store, InventoryChange(put={"a": Known("1", 1), "b": Known("1", 2)}))
    after = await _apply(store, InventoryChange(put={"b": Known("2", 3.5), "c": Known("")}))
    assert after == {"a": Known("1", 1), "b": Known("2", 3.5), "c": Known("", 0)}


async def test_drop_forgets_and_comes_after_put(store: Store) -> None:
    """A key both put and dropped is gone; one that was never there is no error."""
    await _apply(store, InventoryChange(put={"a": Known("1"), "b": Known("1")}))
    assert await _apply(store, InventoryChange(put={"c": Known("1")}, drop=("a", "c", "never"))) == {"b": Known("1")}


async def test_drop_below_forgets_by_rank(store: Store) -> None:
    """Entries of a lower rank go, those put in the same look too; the rank itself stays."""
    await _apply(store, InventoryChange(put={"a": Known("1", 1), "b": Known("1", 2)}))
    after = await _apply(store, InventoryChange(put={"c": Known("1", 1.9), "d": Known("1", 3)}, drop_below=2))
    assert after == {"b": Known("1", 2), "d": Known("1", 3)}


async def test_drop_may_be_readable_only_once(store: Store) -> None:
    """A generator is as good as a tuple."""
    await _apply(store, InventoryChange(put={"a": Known("1"), "b": Known("1")}))
    state = await load(store)
    drop = (key for key in ("a",))
    assert await looks.record(store, state, found(0, state.cursor, inventory=InventoryChange(drop=drop)), NOW)
    assert await _read(store) == {"b": Known("1")}


async def test_sources_do_not_share_entries(store: Store) -> None:
    """What one source drops stays with the other."""
    for source_id in ("db", "files"):
        await recorded(store, found(0, inventory=InventoryChange(put={"a": Known(source_id)})), source_id)
    await recorded(store, found(0, {"at": 2}, inventory=InventoryChange(drop_below=1)), "files")
    assert await _read(store) == {"a": Known("db")}
    assert await _read(store, "files") == {}


@pytest.mark.timeout(60)
async def test_a_big_inventory_is_stored_and_read_without_holding_the_loop(store: Store) -> None:
    """100,000 entries are no special case, and the rest of the daemon runs meanwhile."""
    put = {f"/landing/2026/{number:06}.csv": Known(f"{number}:1024", number) for number in range(100_000)}
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.001)
            turns += 1

    neighbour = asyncio.ensure_future(others())
    try:
        assert await _apply(store, InventoryChange(put=put)) == put
    finally:
        neighbour.cancel()
    assert turns > 50
