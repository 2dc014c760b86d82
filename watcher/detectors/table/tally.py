"""What one look adds up over the rows it finds: counts by operation, bytes, and the stretch of the column they lie in."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from watcher.detection import Json, Operation, Range
from watcher.detectors.table.rows import Row
from watcher.detectors.table.values import as_time, at_least, encode, just_below


@dataclass(slots=True)
class Tally:
    """Adds up changes until `limit`. `wanted` are the operations that count; the others are `filtered`."""

    limit: int
    wanted: frozenset[Operation]
    operations: Counter[Operation] = field(default_factory=Counter)
    bytes: int = 0
    filtered: int = 0

    @property
    def taken(self) -> int:
        return self.operations.total() + self.filtered

    @property
    def full(self) -> bool:
        return self.taken >= self.limit

    def add(self, operation: Operation, size: int = 0) -> bool:
        """Count one change; False when it is filtered."""
        if not self._counts(operation):
            self.filtered += 1
            return False
        self.operations[operation] += 1
        self.bytes += size
        return True

    def _counts(self, operation: Operation) -> bool:
        # what may be an insert or an update counts when either is wanted
        return operation in self.wanted or (operation == "unknown" and bool(self.wanted & {"insert", "update"}))


@dataclass(slots=True)
class Stretch:
    """The values of the changes found in one subject. `previous` is the highest value before this look, None at first."""

    previous: Any = None
    lowest: Any = None
    highest: Any = None

    def add(self, row: Row) -> None:
        """Rows come in the order of the column, so the first one is the lowest and the last the highest."""
        if self.lowest is None:
            self.lowest = row.value
        self.highest = row.value

    @property
    def times(self) -> list[Any]:
        """First and last as UTC, where the column holds times."""
        return [moment for moment in (as_time(self.lowest), as_time(self.highest)) if moment is not None]

    def range(self, column: str, late: bool, low: Any) -> Range | None:
        """`(from, to]` over all changes; `late` says that some lie below `previous`, `low` is where the look began to read."""
        if self.lowest is None:
            return None
        start: Json = None
        if self.previous is not None and not late and self.lowest != self.previous:
            start = encode(self.previous)
        elif self.previous is not None:
            below = just_below(self.lowest)
            start = below if below is not None or low is None else encode(low)
        return Range(column, start, at_least(self.highest))


def merged(ranges: list[Range]) -> Range | None:
    """One range over all of them; None when there is none or their values cannot be compared."""
    if not ranges:
        return None
    low, high = ranges[0].low, ranges[0].high
    for other in ranges[1:]:
        lowest, highest = _lower(low, other.low), _lower(other.high, high)
        if lowest is None or highest is None:
            return None
        low, high = (low if lowest else other.low), (high if highest else other.high)
    return Range(ranges[0].column, low, high)


def _lower(one: Json, other: Json) -> bool | None:
    """Whether `one` is at most `other`; None (from the beginning) is lower than all; None when they do not compare."""
    if one is None or other is None:
        return one is None
    if isinstance(one, str) and isinstance(other, str):
        return one <= other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one <= other
    return None
