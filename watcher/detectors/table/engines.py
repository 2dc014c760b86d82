"""How a source database is connected to: the driver that works in asyncio, its pool, and what each session is set to."""

from __future__ import annotations

import asyncio
import sqlite3
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

import aiosqlite
import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from watcher.errors import SourceError

CONNECT_TIMEOUT = 5.0
CONNECTIONS = 2
"""For each physical database, however many sources look at it."""

_RECYCLE = 600
_STEPS = 20_000
"""Instructions of SQLite, some tenths of a millisecond, between two questions whether somebody still waits."""

_DRIVERS = {
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
    "sqlite": "sqlite+aiosqlite",
    "mysql": "mysql+asyncmy",
    "mariadb": "mariadb+asyncmy",
    "snowflake": "snowflake+snowflake_async",
    "oracle": "oracle+oracledb_async",
    "mssql": "mssql+aioodbc",
}
_LIBPQ_KEYS = frozenset(
    {"sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "application_name", "options", "target_session_attrs"}
)
"""Query keys of a PostgreSQL URL that asyncpg knows; an Airflow connection may carry others, which the server refuses."""

SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
}
"""Texts of rows are hashed: they must not depend on what PostgreSQL's defaults are tomorrow."""

_CONNECTED_POSTGRESQL = "SELECT set_config('watcher.zone', current_setting('TimeZone'), false), " + ", ".join(
    f"set_config('{name}', '{value}', false)" for name, value in SETTINGS.items()
)


@dataclass(slots=True)
class Shared:
    """The connections of one physical database, for all who look at it on one event loop."""

    engine: AsyncEngine
    users: int = 0


_shared: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Shared]] = weakref.WeakKeyDictionary()


def share(url: str) -> Shared:
    """The connections of this database, with one user more; `give_back` when done."""
    of_this_loop = _shared.setdefault(asyncio.get_running_loop(), {})
    if url not in of_this_loop:
        of_this_loop[url] = Shared(_make_engine(url))
    of_this_loop[url].users += 1
    return of_this_loop[url]


async def give_back(url: str, held: Shared) -> None:
    """The last user of a database closes its connections."""
    held.users -= 1
    if held.users == 0:
        _shared.get(asyncio.get_running_loop(), {}).pop(url, None)
        await held.engine.dispose()


def parse_url(url: str) -> sa.URL:
    """The URL with the driver that works in asyncio. Raises SourceError `not-available` without repeating the text."""
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise SourceError("the connection is not a database URL", code="not-available") from None  # the cause shows it
    kind = parsed.get_backend_name()
    if parsed.drivername in (kind, "postgres") or kind in ("postgresql", "sqlite"):
        driver = _DRIVERS.get(kind) or _DRIVERS.get(parsed.drivername, parsed.drivername)
        return parsed.set(drivername=driver)
    return parsed


async def connect_postgresql(url: str) -> asyncpg.Connection[Any]:
    """A raw connection. TLS and the like are asyncpg's reading of the URL, as libpq's."""
    parsed = parse_url(url).set(drivername="postgresql")
    parsed = parsed.set(query={key: value for key, value in parsed.query.items() if key in _LIBPQ_KEYS})
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            return await asyncpg.connect(parsed.render_as_string(hide_password=False), statement_cache_size=0)
    except TimeoutError as error:
        raise ConnectionError(f"no connection within {CONNECT_TIMEOUT:g} s") from error


def _make_engine(url: str) -> AsyncEngine:
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _make_sqlite(parsed.database or "")
    arguments: dict[str, Any] = {}
    if parsed.get_backend_name() == "postgresql":
        # no cached statements: a changed table would break one look for each of them
        arguments = {"async_creator_fn": partial(_connect_asyncpg, url), "prepared_statement_cache_size": 0}
    return create_async_engine(
        parsed.set(query={}) if arguments else parsed,
        connect_args=arguments,
        pool_size=CONNECTIONS,
        max_overflow=0,
        pool_recycle=_RECYCLE,
    )


async def _connect_asyncpg(url: str, *_: object, **__: object) -> asyncpg.Connection[Any]:
    connection, ready = await connect_postgresql(url), False
    try:
        await connection.execute(_CONNECTED_POSTGRESQL, timeout=CONNECT_TIMEOUT)
        ready = True
    finally:
        if not ready:
            connection.terminate()
    return connection


def _make_sqlite(path: str) -> AsyncEngine:
    # a connection to a file costs less than the thread that an idle one keeps
    engine = create_async_engine(
        "sqlite+aiosqlite://", poolclass=sa.NullPool, connect_args={"async_creator_fn": partial(_connect_sqlite, path)}
    )

    @sa.event.listens_for(engine.sync_engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def _connect_sqlite(path: str, *_: object, **__: object) -> aiosqlite.Connection:
    return _Interruptible(path)


class _Interruptible(aiosqlite.Connection):
    """A read-only connection whose statement ends when nobody waits for it any more.

    A thread cannot be cancelled: it would read on, and whoever closes the connection would wait for it.
    """

    def __init__(self, path: str) -> None:
        super().__init__(partial(self._open, path), iter_chunk_size=64)
        self._thread.daemon = True  # as SQLAlchemy does: a stuck disk must not hold the end of the process
        self._given_up = False

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return await super()._execute(fn, *args, **kwargs)  # type: ignore[no-untyped-call]
        except asyncio.CancelledError:
            self._given_up = True
            raise

    def _open(self, path: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(path)}?mode=ro",
            uri=True,
            isolation_level=None,
            timeout=CONNECT_TIMEOUT,
            check_same_thread=False,
        )
        connection.text_factory = _decode
        connection.execute("PRAGMA query_only = 1")
        connection.set_progress_handler(lambda: self._given_up, _STEPS)
        return connection


def _decode(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
