"""The one door to a source database: read-only snapshots with a deadline, two connections for each physical database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from watcher.detectors.table.engines import SETTINGS, Shared, give_back, parse_url, share
from watcher.detectors.table.refusals import FOREIGN, translate
from watcher.errors import SourceError

_BEGUN_POSTGRESQL = sa.select(
    sa.literal_column("extract(epoch FROM clock_timestamp())::float8").label("epoch"),
    sa.literal_column(
        "clock_timestamp() AT TIME ZONE coalesce(nullif(current_setting('watcher.zone', true), ''), 'UTC')"
    ).label("local"),
    sa.literal_column("txid_snapshot_xmin(s)").label("oldest"),
    sa.literal_column("txid_snapshot_xmax(s)").label("next"),
    sa.func.set_config("statement_timeout", sa.bindparam("timeout", type_=sa.String()), True),
    # once more for this transaction: behind a pooler the connection may be another one than was set up
    *(sa.func.set_config(name, value, True) for name, value in SETTINGS.items()),
).select_from(sa.text("txid_current_snapshot() AS s"))


@dataclass(frozen=True, slots=True)
class Instant:
    """The database's own clock when a snapshot began, as UTC and as its local time without zone, and what was open then.

    `oldest` is the oldest transaction still open, `next` the first not yet begun; None where the database does not tell.
    """

    now: datetime
    local: datetime
    oldest: int | None = None
    next: int | None = None

    @property
    def epoch(self) -> float:
        return self.now.timestamp()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One consistent, read-only view of the source, open for one look."""

    connection: AsyncConnection
    instant: Instant

    @property
    def postgresql(self) -> bool:
        return self.connection.dialect.name == "postgresql"

    async def pages(self, statement: sa.Select[Any], size: int = 1_000) -> AsyncGenerator[Sequence[Any], None]:
        """The rows in pages, from a cursor in the database: never all in memory, and free to stop early by `aclose`."""
        result = await self.connection.stream(statement.execution_options(max_row_buffer=size))
        try:
            async for page in result.partitions(size):
                yield page
        finally:
            await result.close()


class Door:
    """What one detector reads its source through. Detectors of one database share its connections."""

    def __init__(self, url: str, timeout: timedelta) -> None:
        self._url = url
        self._seconds = timeout.total_seconds()
        self._held: Shared | None = None

    @cached_property
    def place(self) -> str:
        """The source for people: no user, no password."""
        url = parse_url(self._url)
        return self.sqlite_path or f"{url.host or 'localhost'}:{url.port or ''}/{url.database or ''}"

    @cached_property
    def postgresql(self) -> bool:
        """Whether the source is a PostgreSQL."""
        return parse_url(self._url).get_backend_name() == "postgresql"

    @cached_property
    def sqlite_path(self) -> str | None:
        """The file of a SQLite source."""
        url = parse_url(self._url)
        return url.database if url.get_backend_name() == "sqlite" else None

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """A read-only transaction that sees one moment. Raises SourceError for all that the database refuses."""
        async with self._translated(), AsyncExitStack() as stack:
            yield await self._opened(stack)

    async def ask(self, statement: sa.Select[Any]) -> Sequence[Any] | None:
        """The first row of one statement without a transaction; None when the database refuses, for a look to say why."""
        try:
            async with self._translated(), self._engine().connect() as connection:
                await connection.execution_options(isolation_level="AUTOCOMMIT")
                row: Sequence[Any] | None = (await connection.execute(statement)).first()
                return row
        except SourceError as error:
            if error.code == "source-slow":  # asking again would only add to it
                raise
            return None

    async def close(self) -> None:
        """Give the connections back; the last user of a database closes them."""
        held, self._held = self._held, None
        if held is not None:
            await give_back(self._url, held)

    def _engine(self) -> AsyncEngine:
        if self._held is None:
            self._held = share(self._url)
        return self._held.engine

    @asynccontextmanager
    async def _translated(self) -> AsyncIterator[None]:
        deadline = asyncio.timeout(self._seconds)
        try:
            async with deadline:
                yield
        except TimeoutError as error:
            if deadline.expired():
                raise SourceError(f"{self.place}: no answer within {self._seconds:g} s", code="source-slow") from error
            raise translate(error, self.place) from error
        except FOREIGN as error:
            raise translate(error, self.place) from error

    async def _opened(self, stack: AsyncExitStack) -> Snapshot:
        try:
            async with AsyncExitStack() as first:
                snapshot = await self._begin(first)
                stack.push_async_exit(first.pop_all())
                return snapshot
        except sa.exc.DBAPIError as error:
            if not error.connection_invalidated:
                raise
        # an idle connection had died, and all of its age were given up: the next one is new
        return await self._begin(stack)

    async def _begin(self, stack: AsyncExitStack) -> Snapshot:
        connection = await stack.enter_async_context(self._engine().connect())
        if connection.dialect.name == "postgresql":
            await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        await stack.enter_async_context(connection.begin())
        return Snapshot(connection, await self._begun(connection))

    async def _begun(self, connection: AsyncConnection) -> Instant:
        if connection.dialect.name == "postgresql":
            milliseconds = str(max(1, round(self._seconds * 1_000)))
            row = (await connection.execute(_BEGUN_POSTGRESQL, {"timeout": milliseconds})).one()
            return Instant(datetime.fromtimestamp(row.epoch, UTC), row.local, row.oldest, row.next)
        if connection.dialect.name == "sqlite":
            text = (await connection.execute(sa.text("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')"))).scalar_one()
            local = datetime.fromisoformat(str(text))
            return Instant(local.replace(tzinfo=UTC), local)
        told: datetime = (await connection.execute(sa.select(sa.func.current_timestamp()))).scalar_one()
        aware = told if told.tzinfo else told.replace(tzinfo=UTC)
        return Instant(aware.astimezone(UTC), told.replace(tzinfo=None))
