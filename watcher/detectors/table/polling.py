"""Any difference that a table or a query shows: one change `unknown` whenever its fingerprint differs.

The fingerprint of a table does not depend on the order of its rows, and PostgreSQL makes it itself. The one of a query does
only when the query itself orders: rows of an unordered answer may come in another order without any change.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import sqlalchemy as sa

from watcher.detection import Cursor, Detection, Inventory, Json, Operation
from watcher.detectors.table.access import Door, Snapshot
from watcher.detectors.table.catalogue import Subject, Wanted, as_subquery, find
from watcher.detectors.table.quiet import TRUSTED, Quiet
from watcher.detectors.table.rows import Reader
from watcher.errors import SourceError
from watcher.pipeline.model import DatabaseSource, TablePolling

_EMPTY = "0:"
_MODULUS = 1 << 128


class PollingDetector:
    """Watches the tables, or the query, of one database source by their content."""

    def __init__(self, source: DatabaseSource, watch: TablePolling, url: str) -> None:
        self._source, self._watch = source, watch
        self._door = Door(url, watch.timeout)
        self._quiet = Quiet(self._door, trusted=TRUSTED)
        self._subjects: tuple[Subject, ...] = ()

    async def detect(self, cursor: Cursor | None, inventory: Inventory, limit: int) -> Detection:
        """One look: 0 changes or 1. Raises SourceError."""
        if (now := await self._quiet.since(cursor)) is not None and cursor is not None:
            return Detection(cursor=cursor, cursor_at=now)
        self._quiet.forget()
        stamp = await self._quiet.stamp()
        try:
            async with self._door.snapshot() as snapshot:
                found = await self._fingerprints(snapshot)
                now = snapshot.instant.now
        except SourceError:
            self._subjects = ()  # the table may be another one by the next look
            raise
        differ = self._differ(cursor, found)
        if cursor is None or differ:
            note = f"differs: {', '.join(differ)}" if differ else ""
            counts: dict[Operation, int] = {"unknown": 1} if differ else {}
            after: Cursor = {"fingerprints": dict(found)}
            return Detection(cursor=after, changes=len(counts), operations=counts, note=note, cursor_at=now)
        stored = bool(self._subjects) and all(subject.stored for subject in self._subjects)
        self._quiet.keep_stamp(cursor, stamp if stored else None)
        return Detection(cursor=cursor, cursor_at=now)

    async def hints(self) -> AsyncGenerator[None, None]:
        """None: only the interval makes it look."""
        for _ in ():
            yield

    async def close(self) -> None:
        """Give the connections back."""
        await self._door.close()

    def _differ(self, cursor: Cursor | None, found: Mapping[str, str]) -> list[str]:
        if cursor is None and self._watch.start_from == "now":
            return []
        seen = (cursor or {}).get("fingerprints")
        known: Mapping[str, Json] = seen if isinstance(seen, dict) else dict.fromkeys(found, _EMPTY)
        return [label for label, fingerprint in found.items() if not _same(known.get(label), fingerprint)]

    async def _fingerprints(self, snapshot: Snapshot) -> dict[str, str]:
        query = self._watch.query or self._source.query
        if query is not None:
            return {"query": await _of_query(snapshot, query)}
        if not self._subjects:
            self._subjects = await find(snapshot, Wanted(self._source.all_tables))
        return {subject.label: await _of_table(snapshot, subject) for subject in self._subjects}


async def _of_table(snapshot: Snapshot, subject: Subject) -> str:
    if snapshot.postgresql:
        return await Reader(snapshot, subject).fingerprint()
    columns: list[sa.ColumnElement[Any]] = [
        sa.column(name).label(f"watched_{n}") for n, name in enumerate(subject.columns)
    ]
    return await _of_rows(snapshot, sa.select(*columns).select_from(subject.source), ordered=False)


async def _of_query(snapshot: Snapshot, query: str) -> str:
    statement: sa.Select[Any] = sa.select(sa.literal_column("*")).select_from(as_subquery(query))
    return await _of_rows(snapshot, statement, ordered=orders(query))


async def _of_rows(snapshot: Snapshot, statement: sa.Select[Any], *, ordered: bool) -> str:
    count, total = 0, 0
    async with aclosing(snapshot.pages(statement)) as pages:
        async for page in pages:
            for row in page:
                count += 1
                text = repr(tuple(row))
                # the place in the answer is part of what is hashed only where the query means it
                whole = f"{count}:{text}" if ordered else text
                hashed = hashlib.blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=16).digest()
                total = (total + int.from_bytes(hashed, "big")) % _MODULUS
    return f"{count}:{total:032x}"


def orders(query: str) -> bool:
    """Whether the query itself says ORDER BY, outside of brackets, quotes and comments."""
    depth, plain, position = 0, [], 0
    while position < len(query):
        character = query[position]
        if character in "'\"":
            end = query.find(character, position + 1)
            position = len(query) if end < 0 else end + 1
            continue
        if query.startswith("--", position):
            end = query.find("\n", position)
            position = len(query) if end < 0 else end
            continue
        depth += (character == "(") - (character == ")")
        plain.append(character if depth == 0 else " ")
        position += 1
    words = "".join(plain).lower().split()
    return ("order", "by") in itertools.pairwise(words)


def _same(known: Json, fingerprint: str) -> bool:
    # an empty table is empty, however its hash is written
    return known == fingerprint or (known == _EMPTY and fingerprint.startswith(_EMPTY))
