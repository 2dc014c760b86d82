"""Where a `timestamp` look stands in one table, and how far back the next one reads again; pure, no input or output.

A row may commit late, with a value below one already seen. Each look therefore reads a window again, from `low` up, and
knows the rows in it from the inventory. For times `low` is the highest value less the overlap; for numbers and texts it
is the value that was highest an overlap ago. Where the database tells its open transactions, `low` waits for those that
were open when a value was first seen, for a day at most. `low` never goes back: what is below it is forgotten.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from watcher.detection import Json
from watcher.detectors.table.access import Instant
from watcher.detectors.table.values import NUMBERS, TIMES, Kind, as_time, decode, encode, rank, stepped_back

LONGEST_HOLD = timedelta(hours=24)
"""No transaction, however long it is open, holds the window longer than this."""

_MARKS = 32
_MARKS_PER_OVERLAP = 8


@dataclass(frozen=True, slots=True)
class Mark:
    """The value that was highest at a moment `at` (seconds), when transactions from `next` on had not begun."""

    at: float
    value: Any
    next: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """`value` is the highest value read, None before the first row; `draining` says that rows above it are known to wait."""

    kind: Kind = "text"
    value: Any = None
    low: Any = None
    marks: tuple[Mark, ...] = ()
    draining: bool = False

    def to_json(self) -> dict[str, Json]:
        """As it stands in a cursor."""
        marks: list[Json] = [[mark.at, encode_or_none(mark.value), mark.next] for mark in self.marks]
        return {
            "kind": self.kind,
            "value": encode_or_none(self.value),
            "low": encode_or_none(self.low),
            "marks": marks,
            "draining": self.draining,
        }

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Place:
        """What `to_json` wrote."""
        kind = cast("Kind", written["kind"])
        marks = tuple(Mark(at, decode(kind, value), transaction) for at, value, transaction in written["marks"])
        return cls(kind, decode(kind, written["value"]), decode(kind, written["low"]), marks, written["draining"])


@dataclass(frozen=True, slots=True)
class Floor:
    """How low a look must read; entries of a rank under `forget` may go when everything down to it was read once more."""

    low: Any = None
    forget: float | None = None


def floor_of(place: Place, instant: Instant, overlap: timedelta) -> Floor:
    """The low end of the window for the next look: never below the one of the place."""
    settled = _settled(place, instant, overlap)
    if place.kind in TIMES:
        return _floor_of_time(place, instant, overlap, settled)
    if settled is None:
        return Floor(place.low)
    low = settled.value if settled.value is None or is_above(place.value, settled.value) else place.value
    if low is None or not _moves(place, low):
        return Floor(place.low)
    if place.kind in NUMBERS:
        return Floor(low, rank(place.kind, low, 0.0))
    # texts have no number of their own: their entries are ranked by when they were seen
    return Floor(low, instant.epoch if low == place.value else math.nextafter(settled.at, math.inf))


def marked(place: Place, instant: Instant, overlap: timedelta) -> Place:
    """The place with a mark for what is highest now, where marks are needed, and without those of no more use."""
    if place.kind in TIMES and instant.next is None:
        return place
    settled, marks = _settled(place, instant, overlap), place.marks
    if settled is not None:
        marks = marks[marks.index(settled) :]
    if place.value is not None and _worth_a_mark(place, marks, instant, overlap):
        marks = (*marks, Mark(instant.epoch, place.value, instant.next))
    if len(marks) > _MARKS:  # fewer marks only make the window wider
        marks = marks[::2]
    return replace(place, marks=marks)


def local_now(kind: Kind, instant: Instant) -> datetime:
    """The database's now as `as_time` reads values of this kind."""
    return instant.local.replace(tzinfo=UTC) if kind in {"naive", "date"} else instant.now


def is_above(one: Any, other: Any) -> bool:
    """Whether a value is above another; texts are above numbers, as in SQLite."""
    if isinstance(one, str) != isinstance(other, str):
        return isinstance(one, str)
    return bool(one > other)


def encode_or_none(value: Any) -> Json:
    """JSON of a value, None for none."""
    return None if value is None else encode(value)


def _floor_of_time(place: Place, instant: Instant, overlap: timedelta, settled: Mark | None) -> Floor:
    now = local_now(place.kind, instant)
    highest = as_time(place.value) or now
    moment = min(highest, now)  # one value in the future must not hide all that come until then
    if place.marks:
        seen = None if settled is None else as_time(settled.value) or now
        held = now - LONGEST_HOLD
        moment = min(moment, held if seen is None else max(seen, held))
    low = stepped_back(place.value, moment, overlap)
    forget = rank(place.kind, low, 0.0)
    if not _moves(place, low):
        return Floor(place.low)
    # under a value in the future the window moves with the clock: in steps, else every look would store something
    before = as_time(place.low) if moment < highest and place.low is not None else None
    if before is not None and (as_time(low) or now) - before < overlap / _MARKS_PER_OVERLAP:
        return Floor(place.low)
    return Floor(low, forget)


def _settled(place: Place, instant: Instant, overlap: timedelta) -> Mark | None:
    """The newest mark whose open transactions have all ended; for what is no time it is also an overlap old."""
    age = timedelta(0) if place.kind in TIMES else overlap
    for mark in reversed(place.marks):
        old = instant.epoch - mark.at
        ended = mark.next is None or (instant.oldest is not None and mark.next <= instant.oldest)
        if old >= age.total_seconds() and (ended or old > LONGEST_HOLD.total_seconds()):
            return mark
    return None


def _worth_a_mark(place: Place, marks: tuple[Mark, ...], instant: Instant, overlap: timedelta) -> bool:
    if not marks:
        return True
    last = marks[-1]
    return last.value != place.value and instant.epoch - last.at >= overlap.total_seconds() / _MARKS_PER_OVERLAP


def _moves(place: Place, low: Any) -> bool:
    return place.low is None or is_above(low, place.low)
