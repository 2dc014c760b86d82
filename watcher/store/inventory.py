"""What a detector remembers of its source: read by its look, changed only in the transaction that records the look."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Executable, bindparam, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.detection import InventoryChange, Known
from watcher.store.access import ReadStore
from watcher.store.schema import inventory, pipeline, source
from watcher.store.upsert import insert

_Item = TypeVar("_Item")

CHUNK = 2_000
"""Rows per statement: big enough to be quick, small enough that the event loop runs in between."""


class StoredInventory:
    """The inventory of one source, as `detection.Inventory` asks for it."""

    def __init__(self, store: ReadStore, pipeline: str, source_id: str) -> None:
        self._store = store
        self._pipeline = pipeline
        self._source_id = source_id

    async def read(self) -> dict[str, Known]:
        """All entries; empty for a source that the store does not know yet. Raises StoreError."""
        entries = (
            select(inventory.c.key, inventory.c.value, inventory.c.rank)
            .join(source, source.c.id == inventory.c.source_ref)
            .join(pipeline, pipeline.c.id == source.c.pipeline_ref)
            .where(pipeline.c.name == self._pipeline, source.c.source_id == self._source_id)
        )
        found: dict[str, Known] = {}
        async with self._store.read() as connection:
            result = await connection.stream(entries, execution_options={"yield_per": CHUNK})
            async for rows in result.partitions():
                found.update((key, Known(value, rank)) for key, value, rank in rows)
        return found


async def apply(connection: AsyncConnection, source_ref: int, change: InventoryChange, drop: tuple[str, ...]) -> None:
    """Puts, then drops, then drops by rank. `drop` is `change.drop`, which may be readable only once."""
    await _put(connection, source_ref, change.put)
    gone = delete(inventory).where(inventory.c.source_ref == source_ref, inventory.c.key_hash == bindparam("gone"))
    await execute_in_chunks(connection, gone, drop, lambda key: {"gone": _hash(key)})
    if change.drop_below is not None:
        await connection.execute(
            delete(inventory).where(inventory.c.source_ref == source_ref, inventory.c.rank < change.drop_below)
        )


async def clear(connection: AsyncConnection, source_ref: int) -> None:
    """Forgets everything about a source."""
    await connection.execute(delete(inventory).where(inventory.c.source_ref == source_ref))


async def _put(connection: AsyncConnection, source_ref: int, put: Mapping[str, Known]) -> None:
    statement = insert(connection, inventory)
    statement = statement.on_conflict_do_update(
        index_elements=[inventory.c.source_ref, inventory.c.key_hash],
        set_={"value": statement.excluded.value, "rank": statement.excluded.rank},
    )

    def row(entry: tuple[str, Known]) -> dict[str, Any]:
        key, known = entry
        return {
            "source_ref": source_ref,
            "key_hash": _hash(key),
            "key": key,
            "value": known.value,
            "rank": known.rank,
        }

    await execute_in_chunks(connection, statement, put.items(), row)


async def execute_in_chunks(
    connection: AsyncConnection, statement: Executable, items: Iterable[_Item], row: Callable[[_Item], dict[str, Any]]
) -> None:
    """Executes `statement` once for each item, many in one call."""
    rest = iter(items)
    while rows := [row(item) for item in islice(rest, CHUNK)]:
        await connection.execute(statement, rows)


def _hash(key: str) -> bytes:
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
