"""The one door where what drivers raise becomes ours: an outage is a StoreError, all else is our bug."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from watcher.errors import StoreError, WatcherError

FOREIGN = (SQLAlchemyError, sqlite3.Error, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)

_SQLITE = {
    sqlite3.SQLITE_BUSY: "store-busy",
    sqlite3.SQLITE_LOCKED: "store-busy",
    sqlite3.SQLITE_FULL: "store-full",
    sqlite3.SQLITE_CORRUPT: "store-damaged",
    sqlite3.SQLITE_NOTADB: "store-damaged",
    sqlite3.SQLITE_CANTOPEN: "store-unreachable",
    sqlite3.SQLITE_IOERR: "store-unreachable",
    sqlite3.SQLITE_PERM: "store-unreachable",
    sqlite3.SQLITE_READONLY: "store-unreachable",
}
"""Primary result codes of https://www.sqlite.org/rescode.html."""

_SQLSTATE = {
    "08": "store-unreachable",
    "25006": "store-unreachable",
    "28": "store-unreachable",
    "3D": "store-unreachable",
    "40001": "store-busy",
    "40P01": "store-busy",
    "42501": "store-unreachable",
    "53": "store-busy",
    "53100": "store-full",
    "55P03": "store-busy",
    "57": "store-unreachable",
    "57014": "store-busy",
    "58": "store-unreachable",
    "58030": "store-unreachable",
    "XX001": "store-damaged",
    "XX002": "store-damaged",
}
"""By SQLSTATE, else by its class (first two characters): https://www.postgresql.org/docs/current/errcodes-appendix.html."""


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Raises, for what came through, StoreError (store-busy, -full, -unreachable, -damaged) or WatcherError `internal`.

    `place` names the store for people and holds no password.
    """
    try:
        yield
    except FOREIGN as error:
        raise translate(error, place) from error


def translate(error: Exception, place: str) -> WatcherError:
    """The error of ours for a foreign one; its message holds neither SQL nor values."""
    code = _code(error)
    if code is None:
        return WatcherError(f"the store at {place} refused a statement: {_first_line(error)}", code="internal")
    return StoreError(f"the store at {place}: {_first_line(error)}", code=code)


def _code(error: Exception) -> str | None:
    """The code of the driver's error, wherever SQLAlchemy keeps it; None when it is nobody's outage."""
    if isinstance(error, PoolTimeoutError):
        return "store-busy"
    for cause in _causes(error):
        number = getattr(cause, "sqlite_errorcode", None)
        if number is not None:
            return _SQLITE.get(number & 0xFF)
        state = getattr(cause, "sqlstate", None)
        if state is not None:
            return _SQLSTATE.get(state) or _SQLSTATE.get(state[:2])
        # A driver that lost its connection raises these without any number.
        if isinstance(cause, (OSError, asyncpg.InterfaceError)):
            return "store-unreachable"
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    return "store-unreachable" if lost else None


def _causes(error: Exception) -> Iterator[BaseException]:
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.orig if isinstance(found, DBAPIError) else found.__cause__


def _first_line(error: Exception) -> str:
    """What the database said. Only its first line: further ones may quote values."""
    innermost = list(_causes(error))[-1]
    said = str(innermost).strip() or type(innermost).__name__
    return said.splitlines()[0]
