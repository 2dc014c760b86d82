"""Whether nothing was written since the last full look, asked as cheaply as possible; in doubt a full look answers.

Most looks find nothing. On SQLite size and time of the files tell it without opening them; on PostgreSQL one statement
without a transaction compares count and hash of all rows that a full look would read.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import sqlalchemy as sa

from watcher.detection import Cursor
from watcher.detectors.table.access import Door, Snapshot
from watcher.detectors.table.engines import SETTINGS

Stamp: TypeAlias = "tuple[int, ...]"

TRUSTED = 300.0
"""Seconds between full looks at tables that nobody seems to write."""

_STAMP_TIMEOUT = 1.0
_SETTLED_NS = 100_000_000
"""File times move in steps of some milliseconds: a file written so lately may be written again under the same time."""


@dataclass(frozen=True, slots=True)
class _Proof:
    """What a full look saw that left this cursor. It is trusted until the loop's clock shows `until`."""

    cursor: Cursor
    until: float
    stamp: Stamp | None = None
    statement: sa.Select[Any] | None = None
    answer: tuple[Any, ...] = ()


class Quiet:
    """Kept by one detector instance; every new full look replaces what it knows."""

    def __init__(self, door: Door, trusted: float) -> None:
        self._door, self._trusted = door, trusted
        self._proof: _Proof | None = None

    async def since(self, cursor: Cursor | None) -> datetime | None:
        """The source's time at which nothing had changed since `cursor`; None when a full look has to tell."""
        proof = self._proof
        if proof is None or cursor is None or asyncio.get_running_loop().time() > proof.until:
            return None
        if proof.cursor is not cursor and dict(proof.cursor) != dict(cursor):
            return None
        if proof.statement is not None:
            row = await self._door.ask(proof.statement)
            return row[0] if row is not None and tuple(row[1:]) == proof.answer else None
        now = datetime.now(UTC)
        return now if await self.stamp() == proof.stamp else None

    async def stamp(self) -> Stamp | None:
        """Size and time of the files of a SQLite database before a look; None elsewhere, and when they cannot tell."""
        path = self._door.sqlite_path
        if path is None:
            return None
        try:
            # in a thread with a deadline, for a file may lie on a disk that hangs
            async with asyncio.timeout(_STAMP_TIMEOUT):
                return await asyncio.to_thread(_stamp, path)
        except (OSError, TimeoutError):
            return None

    def forget(self) -> None:
        """Nothing is known any more."""
        self._proof = None

    def keep_stamp(self, cursor: Cursor, stamp: Stamp | None) -> None:
        """A full look, begun after `stamp` was taken, found nothing and left this cursor."""
        self._proof = None if stamp is None else _Proof(cursor, self._until(), stamp)

    def keep_answer(self, cursor: Cursor, statement: sa.Select[Any], answer: tuple[Any, ...]) -> None:
        """A full look found nothing and left this cursor; in its snapshot the statement gave this answer."""
        self._proof = _Proof(cursor, self._until(), None, statement, answer)

    def _until(self) -> float:
        return asyncio.get_running_loop().time() + self._trusted


def question(parts: Sequence[sa.Select[Any]]) -> sa.Select[Any]:
    """One statement for PostgreSQL: its clock, the settings that texts depend on, and each part."""
    return sa.select(
        sa.literal_column("clock_timestamp()"),
        sa.literal_column(" || ';' || ".join(f"current_setting('{name}')" for name in SETTINGS)),
        *(part.scalar_subquery() for part in parts),
    )


async def answered(snapshot: Snapshot, statement: sa.Select[Any]) -> tuple[Any, ...]:
    """What the question gives in the snapshot of a full look, without the clock."""
    row = (await snapshot.connection.execute(statement)).one()
    return tuple(row[1:])


def _stamp(path: str) -> Stamp | None:
    files = [os.stat(path)]  # noqa: PTH116 - a path is text here
    with contextlib.suppress(FileNotFoundError):  # not in WAL mode, or nobody has it open
        files.append(os.stat(f"{path}-wal"))  # noqa: PTH116
    if time.time_ns() - max(file.st_mtime_ns for file in files) < _SETTLED_NS:
        return None
    return tuple(n for file in files for n in (file.st_dev, file.st_ino, file.st_size, file.st_mtime_ns))
