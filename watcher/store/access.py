"""An open store: it gives transactions and nothing else; the verbs are functions in the modules beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from watcher.store.door import translated


class ReadStore:
    """A store that is only looked at. `place` names it for people, without a password."""

    def __init__(self, reader: AsyncEngine, place: str) -> None:
        self.place = place
        self._reader = reader

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction that sees one state of the store. Raises StoreError."""
        with translated(self.place):
            async with self._reader.connect() as connection:
                await connection.begin()
                yield connection


class Store(ReadStore):
    """A store that is written too. `turn` lets one writer in at a time where the database knows only one."""

    def __init__(
        self, reader: AsyncEngine, writer: AsyncEngine, turn: AbstractAsyncContextManager[Any], place: str
    ) -> None:
        super().__init__(reader, place)
        self._writer = writer
        self._turn = turn

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction: committed at the end of the block, rolled back when it raises or is cancelled.

        A commit under way is never interrupted: cancelled meanwhile, it ends first. Raises StoreError.
        """
        async with self._turn:
            with translated(self.place):
                async with self._writer.connect() as connection:
                    await connection.begin()
                    yield connection
                    await _to_the_end(_commit(connection))


async def _commit(connection: AsyncConnection) -> None:
    committed = False
    try:
        await connection.commit()
        committed = True
    finally:
        if not committed:
            # SQLAlchemy takes a transaction whose commit failed for ended; in SQLite it may still be open.
            await connection.invalidate()


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Waits until `work` is done however often we are cancelled meanwhile; then the cancellation goes on."""
    task = asyncio.ensure_future(work)
    interrupted: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            interrupted = error
    failure = task.exception()
    if interrupted is not None:
        raise interrupted
    if failure is not None:
        raise failure
