"""A store in one SQLite file: one process, one connection that writes, nothing lost when the power goes."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, event
from sqlalchemy.engine import Connection, ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from watcher.errors import CannotStartError

BUSY_SECONDS = 5.0
_READERS = 4


def writer(path: Path) -> AsyncEngine:
    """An engine with exactly one connection, the only one of all that may write.

    Two that write can break a WAL file before SQLite 3.51.3 (https://sqlite.org/wal.html#walresetbug).
    """
    pragmas = ("journal_mode = wal", "synchronous = full", "foreign_keys = on")
    return _engine(path, mode="rw", size=1, begin="begin immediate", pragmas=pragmas)


def reader(path: Path) -> AsyncEngine:
    """An engine of a few connections that cannot write; they never wait for the one that does."""
    return _engine(path, mode="ro", size=_READERS, begin="begin", pragmas=("query_only = on",))


def _engine(path: Path, *, mode: str, size: int, begin: str, pragmas: tuple[str, ...]) -> AsyncEngine:
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=f"file:{quote(str(path))}", query={"mode": mode, "uri": "true"}),
        # The driver's own transactions are off: it would begin too late, and not at all before DDL.
        connect_args={"timeout": BUSY_SECONDS, "isolation_level": None},
        poolclass=AsyncAdaptedQueuePool,
        pool_size=size,
        max_overflow=0,
        pool_timeout=2 * BUSY_SECONDS,
        hide_parameters=True,
    )

    def prepare(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"pragma {pragma}")
        cursor.close()

    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    def keep(context: ExceptionContext) -> None:
        # SQLAlchemy would close the connection of a cancelled task. A cursor in the task's traceback then keeps it, and
        # its lock, alive inside SQLite (https://www.sqlite.org/c3ref/close.html). Kept, it is rolled back at once.
        if isinstance(context.original_exception, asyncio.CancelledError):
            context.is_disconnect = False

    event.listen(engine.sync_engine, "handle_error", keep)
    event.listen(engine.sync_engine, "connect", prepare)
    event.listen(engine.sync_engine, "begin", start)
    return engine


@contextmanager
def taken(path: Path) -> Iterator[None]:
    """Holds the store for this process; its lock file stands beside it and names the pid.

    Makes the folder (0700) and the file (0600) where they are not there.
    Raises CannotStartError (store-taken, store-unreachable).
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        _lock(lock, path)
        _make_private(path)
        yield
    finally:
        # The file itself stays: deleting it would let a third process lock a new one while a second waits on the old.
        os.close(lock)


def _lock(lock: int, path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        pid = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
        raise CannotStartError(f"the daemon with pid {pid} has the store {path}", code="store-taken") from error
    except OSError as error:
        raise _unusable(path, error) from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode("ascii"), 0)


def _make_private(path: Path) -> None:
    """SQLite gives the rights of this file to the journals it makes beside it."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        path.chmod(0o600)
    except OSError as error:
        raise _unusable(path, error) from error


def ensure_readable(path: Path) -> None:
    """Raises CannotStartError when there is no store to look at. The driver is not asked: refused, it leaves a thread."""
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: OSError) -> CannotStartError:
    return CannotStartError(f"the store {path} cannot be opened: {error.strerror}", code="store-unreachable")


def check(connection: Connection) -> str | None:
    """What SQLite's own check finds wrong with the file, None when it is sound. Reads the whole file."""
    found = str(connection.exec_driver_sql("pragma quick_check(1)").scalar_one())
    return None if found == "ok" else found


def copy(path: Path, revision: str) -> Path:
    """A copy of the store as it is now, beside it, named after the schema it has. Blocks; run it in a thread."""
    target = path.with_name(f"{path.name}.before-migration-of-{revision}")
    unfinished = target.with_name(target.name + ".part")
    unfinished.unlink(missing_ok=True)
    os.close(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    with (
        closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as old,
        closing(sqlite3.connect(unfinished)) as new,
    ):
        old.backup(new)
    unfinished.replace(target)
    return target
