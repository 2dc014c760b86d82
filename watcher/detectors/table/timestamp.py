"""Inserts and updates through a column that only grows; rows that commit late, with a lower value, are found too, and once.

Never seen: rows whose column is NULL, deletes, and what a row was between two looks. `repeated` stays 0: reading the window
again is how this detector works, and each row in it is known by its key and a hash of its values.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from watcher.detection import Cursor, Detection, Inventory, InventoryChange, Json
from watcher.detectors.table.access import Door, Instant, Snapshot
from watcher.detectors.table.catalogue import Subject, Wanted, find
from watcher.detectors.table.listen import notifications
from watcher.detectors.table.memory import Memory, sealed
from watcher.detectors.table.place import Place
from watcher.detectors.table.quiet import Quiet, Stamp, answered, question
from watcher.detectors.table.rows import Reader, digest
from watcher.detectors.table.tally import Tally, merged
from watcher.detectors.table.values import TIMES, as_time
from watcher.detectors.table.window import Window
from watcher.errors import SourceError
from watcher.pipeline.model import DatabaseSource, TableTimestamp

_FULL_LOOKS = 8
"""So many full looks in an overlap, though nothing is written: the window shrinks as transactions end."""


@dataclass(frozen=True, slots=True)
class _Look:
    """The windows of one look with the places before and after it, one for each table."""

    windows: Mapping[str, Window]
    before: Mapping[str, Place]
    after: Mapping[str, Place]
    tally: Tally
    instant: Instant

    @property
    def more(self) -> bool:
        return any(window.more for window in self.windows.values())


class TimestampDetector:
    """Watches the tables, or the query, of one database source by `watch.column`."""

    def __init__(self, source: DatabaseSource, watch: TableTimestamp, url: str) -> None:
        self._source, self._watch, self._url = source, watch, url
        self._door = Door(url, watch.timeout)
        self._memory = Memory()
        self._subjects: tuple[Subject, ...] = ()
        self._quiet = Quiet(self._door, trusted=max(1.0, watch.overlap.total_seconds() / _FULL_LOOKS))
        self._unchanged: tuple[Cursor, dict[str, tuple[object, str]]] = ({}, {})

    async def detect(self, cursor: Cursor | None, inventory: Inventory, limit: int) -> Detection:
        """One look in one snapshot of the database. Raises SourceError."""
        if (now := await self._quiet.since(cursor)) is not None and cursor is not None:
            return Detection(cursor=cursor, cursor_at=now)
        self._quiet.forget()
        known = await self._memory.entries(cursor, inventory)
        tally = Tally(limit, frozenset(self._watch.operations))
        stamp = await self._quiet.stamp()
        try:
            async with self._door.snapshot() as snapshot:
                look = await self._look(snapshot, cursor, known, tally)
                detection = self._answer(cursor, look)
                if detection.cursor is cursor:
                    await self._prove(snapshot, look, cursor, stamp)
        except SourceError:
            self._subjects = ()  # the table may be another one by the next look
            raise
        if detection.cursor is not cursor:
            self._memory.answered(detection.cursor, detection.inventory)
        windows = {label: w.unchanged for label, w in look.windows.items() if w.unchanged is not None}
        self._unchanged = (detection.cursor, windows)
        return detection

    async def hints(self) -> AsyncGenerator[None, None]:
        """One for each notification on `watch.notify` of a PostgreSQL source; else none."""
        if self._watch.notify is not None and self._door.postgresql:
            async for _ in notifications(self._url, self._watch.notify):
                yield

    async def close(self) -> None:
        """Give the connections back."""
        await self._door.close()

    async def _look(self, snapshot: Snapshot, cursor: Cursor | None, known: Mapping[str, Any], tally: Tally) -> _Look:
        source, watch = self._source, self._watch
        if not self._subjects:
            wanted = Wanted(source.all_tables, source.query, watch.column, watch.key)
            self._subjects = await find(snapshot, wanted)
        before = {subject.label: _place(cursor, subject.label) for subject in self._subjects}
        look = _Look({}, before, {}, tally, snapshot.instant)
        limit, windows, after = tally.limit, dict[str, Window](), dict[str, Place]()
        # what an answer saw counts only once it is stored: a lost one leaves its rows to be found again
        seen = self._unchanged[1] if cursor is not None and dict(self._unchanged[0]) == dict(cursor) else {}
        for number, subject in enumerate(self._subjects):
            # each table may take its share of what is left, so that a busy one does not starve the next
            share = -(-(limit - tally.taken) // (len(self._subjects) - number))
            tally.limit = tally.taken + share
            label = subject.label
            prefix = f"{digest(label)[:8]}:" if len(self._subjects) > 1 else ""
            reader = Reader(snapshot, subject, watch.column)
            window = Window(reader, watch.overlap, tally, known, prefix, seen.get(label))
            first = cursor is None and watch.start_from == "now"
            after[label] = await window.adopt() if first else await window.look(before[label])
            windows[label] = window
        return _Look(windows, look.before, after, tally, look.instant)

    async def _prove(self, snapshot: Snapshot, look: _Look, cursor: Cursor, stamp: Stamp | None) -> None:
        """Nothing was found: keep what tells the next look that nothing was written since."""
        if not snapshot.postgresql:
            self._quiet.keep_stamp(cursor, stamp if all(subject.stored for subject in self._subjects) else None)
            return
        readers = [(look.after[label].low, window.reader) for label, window in look.windows.items()]
        statement = question([reader.fingerprinted(reader.above(low)) for low, reader in readers])
        self._quiet.keep_answer(cursor, statement, await answered(snapshot, statement))

    def _answer(self, cursor: Cursor | None, look: _Look) -> Detection:
        tally, windows = look.tally, look.windows
        change = _inventory(windows, look)
        ranges = [w.stretch.range(self._watch.column, w.late, look.before[label].low) for label, w in windows.items()]
        times: list[datetime] = [moment for w in windows.values() for moment in w.stretch.times]
        moved = cursor is None or tally.taken or not change.empty or look.after != look.before
        places: dict[str, Json] = {label: place.to_json() for label, place in look.after.items()}
        return Detection(
            cursor=sealed({"tables": places}) if moved or cursor is None else cursor,
            changes=tally.operations.total(),
            operations=dict(tally.operations),
            bytes=tally.bytes,
            filtered=tally.filtered,
            first_change_at=min(times, default=None),
            last_change_at=max(times, default=None),
            range=merged([r for r in ranges if r is not None]),
            inventory=change,
            more=look.more,
            note="; ".join(f"{label}: {w.note}" for label, w in windows.items() if w.note),
            cursor_at=_seen_until(look),
        )


def _place(cursor: Cursor | None, label: str) -> Place:
    tables = (cursor or {}).get("tables")
    written = tables.get(label) if isinstance(tables, dict) else None
    return Place.from_json(written) if isinstance(written, dict) else Place()


def _inventory(windows: Mapping[str, Window], look: _Look) -> InventoryChange:
    put, drop, below = {}, [], None
    for window in windows.values():
        low = window.forget
        put.update({key: known for key, known in window.put.items() if low is None or known.rank >= low})
        if low is None:
            continue
        if not window.prefix:
            below = low
        else:  # ranks of different tables do not compare
            drop += [key for key, k in window.known.items() if key.startswith(window.prefix) and k.rank < low]
    return InventoryChange(put=put, drop=tuple(drop), drop_below=below)


def _seen_until(look: _Look) -> datetime | None:
    """The database's clock at the snapshot; while rows are known to wait, the lowest time that was reached."""
    if not look.more:
        return look.instant.now
    waiting = [look.after[label] for label, window in look.windows.items() if window.more]
    times = [as_time(place.value) for place in waiting if place.kind in TIMES]
    return min((t for t in times if t is not None), default=None) if len(times) == len(waiting) else None
