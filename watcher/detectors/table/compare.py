"""`compare: rows`: inserts, updates and deletes by key, from a hash of every row that the inventory remembers.

For tables of up to a million rows: all of them are read at each look, in the order of the key. PostgreSQL is asked for a
fingerprint first, and only a table that differs is read.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

from watcher.detection import Cursor, Detection, Inventory, InventoryChange, Json, Known
from watcher.detectors.table.access import Door, Snapshot
from watcher.detectors.table.catalogue import Subject, Wanted, find
from watcher.detectors.table.memory import Memory, sealed
from watcher.detectors.table.quiet import TRUSTED, Quiet
from watcher.detectors.table.rows import Reader, digest
from watcher.detectors.table.tally import Tally
from watcher.errors import SourceError
from watcher.pipeline.model import DatabaseSource, TablePolling

MOST_ROWS = 1_000_000


@dataclass(slots=True)
class _Comparison:
    """What one look at one table or at several adds up."""

    known: Mapping[str, Known]
    tally: Tally
    counting: bool
    put: dict[str, Known] = field(default_factory=dict)
    drop: list[str] = field(default_factory=list)
    fingerprints: dict[str, Json] = field(default_factory=dict)
    more: bool = False

    def take(self, identity: str, version: str, size: int) -> bool:
        """One row as it is now; False when the tally is full."""
        old = self.known.get(identity)
        if old is not None and old.value == version:
            return True
        if self.counting and self.tally.full:
            return False
        self.put[identity] = Known(version)
        if self.counting:
            self.tally.add("insert" if old is None else "update", size)
        return True

    def gone(self, prefix: str, seen: set[str]) -> bool:
        """Takes the rows of a table that are remembered and were not seen; False when the tally is full before."""
        for identity in self.known:
            if identity.startswith(prefix) and identity not in seen:
                if self.tally.full:
                    self.more = True
                    return False
                self.drop.append(identity)
                self.tally.add("delete")
        return True


class RowsDetector:
    """Watches the tables, or the query, of one database source row by row."""

    def __init__(self, source: DatabaseSource, watch: TablePolling, url: str) -> None:
        self._source, self._watch = source, watch
        self._door = Door(url, watch.timeout)
        self._quiet = Quiet(self._door, trusted=TRUSTED)
        self._memory = Memory()
        self._subjects: tuple[Subject, ...] = ()

    async def detect(self, cursor: Cursor | None, inventory: Inventory, limit: int) -> Detection:
        """One look. Raises SourceError, `source-schema` for a table without a key, `source-answer` for one too long."""
        if (now := await self._quiet.since(cursor)) is not None and cursor is not None:
            return Detection(cursor=cursor, cursor_at=now)
        self._quiet.forget()
        stamp = await self._quiet.stamp()
        known = await self._memory.entries(cursor, inventory)
        tally = Tally(limit, frozenset(self._watch.operations))
        found = _Comparison(known, tally, counting=cursor is not None or self._watch.start_from == "beginning")
        try:
            async with self._door.snapshot() as snapshot:
                await self._compare(snapshot, found, (cursor or {}).get("fingerprints"))
                now = snapshot.instant.now
        except SourceError:
            self._subjects = ()  # the table may be another one by the next look
            raise
        change = InventoryChange(put=found.put, drop=tuple(found.drop))
        if cursor is not None and change.empty and cursor.get("fingerprints") == found.fingerprints:
            self._quiet.keep_stamp(cursor, stamp if all(subject.stored for subject in self._subjects) else None)
            return Detection(cursor=cursor, cursor_at=now)
        detection = Detection(
            cursor=sealed({"fingerprints": found.fingerprints}),
            changes=tally.operations.total(),
            operations=dict(tally.operations),
            bytes=tally.bytes,
            filtered=tally.filtered,
            inventory=change,
            more=found.more,
            cursor_at=None if found.more else now,
        )
        self._memory.answered(detection.cursor, change)
        return detection

    async def hints(self) -> AsyncGenerator[None, None]:
        """None: only the interval makes it look."""
        for _ in ():
            yield

    async def close(self) -> None:
        """Give the connections back."""
        await self._door.close()

    async def _compare(self, snapshot: Snapshot, found: _Comparison, before: Json) -> None:
        if not self._subjects:
            wanted = Wanted(self._source.all_tables, self._source.query, key=self._watch.key)
            self._subjects = await find(snapshot, wanted)
        for subject in self._subjects:
            if not subject.key:
                raise SourceError(f"{subject.label} has no key to compare rows by: give `key`", code="source-schema")
            reader, label = Reader(snapshot, subject), subject.label
            fingerprint = await reader.fingerprint() if snapshot.postgresql else ""
            if fingerprint and isinstance(before, dict) and before.get(label) == fingerprint:
                found.fingerprints[label] = fingerprint
                continue
            complete = await _compare_rows(reader, found, f"{digest(label)[:8]}:" if len(self._subjects) > 1 else "")
            # while something waits the table is read again, whatever its fingerprint
            found.fingerprints[label] = fingerprint if complete else ""


async def _compare_rows(reader: Reader, found: _Comparison, prefix: str) -> bool:
    """Reads one table; whether all that differs was taken."""
    seen: set[str] = set()
    async with aclosing(reader.rows()) as pages:
        async for page in pages:
            for row in page:
                identity = prefix + row.identity
                if not found.take(identity, row.version, row.bytes):
                    found.more = True
                    return False
                seen.add(identity)
            if len(seen) > MOST_ROWS:
                raise SourceError(
                    f"{reader.subject.label} has more than {MOST_ROWS} rows: too many to compare; watch it by a column",
                    code="source-answer",
                )
    return found.gone(prefix, seen)
