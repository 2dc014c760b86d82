"""One `timestamp` look at one subject: the window once more for late rows, then on from the last position."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from watcher.detection import Known
from watcher.detectors.table.access import Instant
from watcher.detectors.table.place import Floor, Mark, Place, floor_of, is_above, local_now, marked
from watcher.detectors.table.rows import Position, Reader, Row, pack, unpack
from watcher.detectors.table.tally import Stretch, Tally
from watcher.detectors.table.values import LAST_RANK, TIMES, Kind, as_time, kind_of, rank, stepped_back

FIRST_ROWS = 10_000
"""So many rows below the maximum the first look knows, where an overlap of values cannot be told."""

FIRST_WINDOW = 100_000
"""The first look remembers at most so many rows of the overlap."""

REMEMBERED_MOST = 1_000_000
"""Above so many remembered rows the window is closed: rows that commit late behind it are no more found."""

WIDE_WINDOW = 20_000
"""From so many remembered rows on PostgreSQL is asked first whether the window differs at all."""

POSITION = "position"


@dataclass(slots=True)
class Window:
    """The look itself. It fills `tally`, `stretch` and `put`; nothing is remembered here when it is cancelled."""

    reader: Reader
    overlap: timedelta
    tally: Tally
    known: Mapping[str, Known]
    prefix: str = ""
    unchanged: tuple[object, str] | None = None
    """The bounds of a window and its fingerprint, when it was last read in full."""
    put: dict[str, Known] = field(default_factory=dict)
    forget: float | None = None
    stretch: Stretch = field(default_factory=Stretch)
    late: bool = False
    more: bool = False
    note: str = ""
    _floor: Floor = field(default_factory=Floor)
    _kind: Kind = "text"

    async def adopt(self) -> Place:
        """The first look from now: stand behind all rows, and know those of the window without counting them."""
        top = await self.reader.top()
        if top is None:
            return Place()
        self._kind = kind_of(top.value)
        low = await self._first_low(top)
        where = self.reader.above(low)
        if not top.key and not (low is None or is_above(top.value, low)):
            where = self.reader.after(top)  # the rows of the highest value are read again, and must be known
        async with aclosing(self.reader.rows(where)) as pages:
            async for page in pages:
                self.put.update((self.prefix + row.identity, self._known(row)) for row in page)
        marks = () if self._kind in TIMES else (Mark(0.0, low),)
        return self._stand(Place(self._kind, top.value, low, marks), top)

    async def look(self, place: Place) -> Place:
        """What is new since `place`; the place after it. At most as many changes as the tally still takes."""
        if place.value is None:
            return await self._begin(place)
        self._kind, self.stretch.previous = place.kind, place.value
        position = self._position(place)
        self._floor = self._lowest(place, position)
        if not await self._read_late(place, position):
            self.more = True
            return place
        self.forget = self._floor.forget
        return await self._read_on(place, position)

    @property
    def _instant(self) -> Instant:
        return self.reader.snapshot.instant

    async def _begin(self, place: Place) -> Place:
        top = await self.reader.top()
        if top is None:
            return place
        self._kind = kind_of(top.value)
        threshold = None if self._kind in TIMES else await self.reader.top(FIRST_ROWS)
        marks = () if self._kind in TIMES else (Mark(0.0, threshold and threshold.value),)
        return await self._read_on(Place(self._kind, marks=marks), None)

    async def _first_low(self, top: Position) -> Any:
        if self._kind not in TIMES:
            threshold = await self.reader.top(FIRST_ROWS)
            return None if threshold is None else threshold.value
        now = local_now(self._kind, self._instant)
        low = stepped_back(top.value, min(as_time(top.value) or now, now), self.overlap)
        threshold = await self.reader.top(FIRST_WINDOW)
        return threshold.value if threshold is not None and is_above(threshold.value, low) else low

    def _lowest(self, place: Place, position: Position) -> Floor:
        if len(self.known) <= REMEMBERED_MOST:
            return floor_of(place, self._instant, self.overlap)
        self.note = f"over {REMEMBERED_MOST} rows to remember: rows that commit late before now are no more found"
        edge = rank(place.kind, place.value, self._instant.epoch)
        # without a key rows of the last value are read again and must stay known
        return Floor(place.value, math.nextafter(edge, math.inf) if position.key else edge)

    def _position(self, place: Place) -> Position:
        kept = self.known.get(self.prefix + POSITION)
        return Position(place.value) if kept is None else unpack(kept.value, place.value)

    def _stand(self, place: Place, position: Position) -> Place:
        self.put[self.prefix + POSITION] = Known(pack(position), LAST_RANK)
        return marked(place, self._instant, self.overlap)

    async def _read_late(self, place: Place, position: Position) -> bool:
        """Reads the window again; while draining only the part that is about to be forgotten. False when the tally is full."""
        reader, low = self.reader, self.reader.above(place.low)
        if place.draining:
            if self._floor.low is None or self._floor.low == place.low:
                return True
            return (await self._scan((low, reader.at_most(self._floor.low)), late=True))[1]
        where = (low, reader.before(position))
        wide = reader.snapshot.postgresql and len(self.known) >= WIDE_WINDOW
        bounds = (place.low, position)
        fingerprint = await reader.fingerprint(*where) if wide else ""
        if wide and self.unchanged == (bounds, fingerprint):
            return True
        complete = (await self._scan(where, late=True))[1]
        self.unchanged = (bounds, fingerprint) if wide and complete else None
        return complete

    async def _read_on(self, place: Place, position: Position | None) -> Place:
        """Reads the rows behind the position, from the first row on when it is None."""
        where, limit = self.reader.above(None), None
        if position is not None:
            where = self.reader.after(position)
        if position is not None and position.key:
            # every row behind it is new, so that the database need not sort more of them than we take
            limit = self.tally.limit - self.tally.taken + 1
        reached, complete = await self._scan((where,), late=False, limit=limit)
        # the look that ends a long reading left most of the window out: one more at once reads it
        self.more = not complete or place.draining
        place = replace(place, low=self._floor.low, draining=not complete)
        if reached is None and position is None:
            return Place()
        standing = position if reached is None else self.reader.position(reached.value, reached.key)
        if standing is None or standing == position:
            return marked(place, self._instant, self.overlap)
        return self._stand(replace(place, value=standing.value), standing)

    async def _scan(
        self, where: tuple[sa.ColumnElement[bool], ...], *, late: bool, limit: int | None = None
    ) -> tuple[Row | None, bool]:
        """Takes rows until the tally is full: the last one taken, and whether that was all of them."""
        last, count = None, 0
        async with aclosing(self.reader.rows(*where, limit=limit)) as pages:
            async for page in pages:
                for row in page:
                    if not self._take(row, late):
                        return last, False
                    last, count = row, count + 1
        return last, limit is None or count < limit

    def _take(self, row: Row, late: bool) -> bool:
        identity = self.prefix + row.identity
        old = self.put.get(identity) or self.known.get(identity)
        if old is not None and old.value == row.version:
            return True
        if self.tally.full:
            return False
        self.put[identity] = self._known(row)
        if self.tally.add("unknown" if old is None else "update", row.bytes):
            self.stretch.add(row)
            self.late = self.late or late
        return True

    def _known(self, row: Row) -> Known:
        return Known(row.version, rank(self._kind, row.value, self._instant.epoch))
