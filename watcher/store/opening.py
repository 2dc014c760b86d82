"""Opens a store, or says in one sentence why the daemon cannot start on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from watcher.errors import CannotStartError, ConfigError, StoreError
from watcher.store import migrate as migration
from watcher.store import postgres, sqlite
from watcher.store.access import ReadStore, Store


@asynccontextmanager
async def open_store(url: str, *, migrate: bool | None = None) -> AsyncIterator[Store]:
    """The store at `sqlite:////absolute/path` or `postgresql://user:password@host/database`, ready to be written.

    `migrate` None: a file of SQLite migrates itself, a copy first; PostgreSQL does not, for others may run on it.
    Raises ConfigError for another kind of address,
    CannotStartError (store-taken, -damaged, -newer, -older, -unreachable).
    """
    address = _parsed(url)
    async with AsyncExitStack() as stack:
        with _cannot_start():
            if address.get_backend_name() == "sqlite":
                store = await _open_sqlite(stack, _path(address), migrate is not False)
            else:
                store = await _open_postgres(stack, address, migrate is True)
        yield store


@asynccontextmanager
async def open_store_readonly(url: str) -> AsyncIterator[ReadStore]:
    """The same store for looking only, also while a daemon has it. Changes nothing, waits for nobody.

    Raises ConfigError and CannotStartError as `open_store`; store-older when it has to be migrated first.
    """
    address = _parsed(url)
    async with AsyncExitStack() as stack:
        with _cannot_start():
            if address.get_backend_name() == "sqlite":
                path = _path(address)
                sqlite.ensure_readable(path)
                place, engine = str(path), sqlite.reader(path)
            else:
                place, engine = _place(address), postgres.reading(postgres.engine(address))
            stack.push_async_callback(engine.dispose)
            store = ReadStore(engine, place)
            async with store.read() as connection:
                _refuse(await connection.run_sync(migration.standing), place, migrates=False)
        yield store


async def schema_of(store: ReadStore) -> str | None:
    """The name of the schema that an open store has."""
    async with store.read() as connection:
        return await connection.run_sync(migration.revision)


def sqlite_path(url: str) -> Path | None:
    """The file of a store in SQLite, None for any other. Raises ConfigError for an address that is none."""
    address = _parsed(url)
    return _path(address) if address.get_backend_name() == "sqlite" else None


async def _open_sqlite(stack: AsyncExitStack, path: Path, migrates: bool) -> Store:
    stack.enter_context(sqlite.taken(path))
    writer = _disposed(stack, sqlite.writer(path))
    reader = _disposed(stack, sqlite.reader(path))
    store = Store(reader, writer, asyncio.Lock(), str(path))
    async with store.write() as connection:
        damage = await connection.run_sync(sqlite.check)
        if damage is not None:
            raise CannotStartError(f"the store {path} is damaged: {damage}", code="store-damaged")
        standing = await connection.run_sync(migration.standing)
        _refuse(standing, store.place, migrates)
        if standing == "older":
            revision = await connection.run_sync(migration.revision)
            await asyncio.to_thread(sqlite.copy, path, str(revision))
        await _upgrade(connection, standing)
    return store


async def _open_postgres(stack: AsyncExitStack, address: URL, migrates: bool) -> Store:
    engine = _disposed(stack, postgres.engine(address))
    store = Store(postgres.reading(engine), engine, nullcontext(), _place(address))
    async with store.write() as connection:
        if migrates:
            await connection.run_sync(migration.wait_for_turn)
        standing = await connection.run_sync(migration.standing)
        _refuse(standing, store.place, migrates)
        await _upgrade(connection, standing)
    return store


async def _upgrade(connection: AsyncConnection, standing: migration.Standing) -> None:
    if standing != "current":
        await connection.run_sync(migration.upgrade)


def _refuse(standing: migration.Standing, place: str, migrates: bool) -> None:
    if standing == "newer":
        raise CannotStartError(f"the store at {place} was written by a newer program", code="store-newer")
    if standing != "current" and not migrates:
        state = "has no tables yet" if standing == "empty" else "has an older schema"
        raise CannotStartError(f"the store at {place} {state}", code="store-older")


def _disposed(stack: AsyncExitStack, engine: AsyncEngine) -> AsyncEngine:
    stack.push_async_callback(engine.dispose)
    return engine


@contextmanager
def _cannot_start() -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        raise CannotStartError(str(error), code=error.code) from error


def _parsed(url: str) -> URL:
    """The address in parts. No message quotes it: it may hold a password."""
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):
        # No cause: it may quote a part of the password.
        raise ConfigError(
            "the address of the store is not a URL such as sqlite:////var/lib/watcher/watcher.db"
        ) from None
    name = "postgresql" if address.drivername == "postgres" else address.drivername.partition("+")[0]
    if name not in ("sqlite", "postgresql"):
        raise ConfigError(f"a store is kept in sqlite or postgresql, not in {name}")
    if name == "sqlite" and address.database in (None, "", ":memory:"):
        raise ConfigError(
            "a store in memory would forget everything: name a file, as sqlite:////var/lib/watcher/watcher.db"
        )
    return address.set(drivername=name)


def _path(address: URL) -> Path:
    return Path(str(address.database)).absolute()


def _place(address: URL) -> str:
    """Host and database: all that people need to find it, and nothing of the user."""
    return f"{address.host or 'localhost'}:{address.port or 5432}/{address.database or ''}"
