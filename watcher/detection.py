"""What a detector answers, and the contract it fulfils; the whole vocabulary of somebody who writes one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol, TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Cursor: TypeAlias = Mapping[str, Json]
"""Opaque position of a detector in its source: small, JSON, written and read by that detector alone."""

Operation = Literal["insert", "update", "delete", "truncate", "unknown"]


@dataclass(frozen=True, slots=True)
class FileChange:
    """One changed file. `path` is absolute or a URL, percent-encoded as in a URL, so any byte of a name survives."""

    path: str
    operation: Operation
    bytes: int


@dataclass(frozen=True, slots=True)
class Range:
    """The half-open stretch `(low, high]` of a column that covers every change of a detection.

    Values are JSON that compare natively: numbers, or texts of one fixed format. `low` None means from the beginning.
    """

    column: str
    low: Json
    high: Json


@dataclass(frozen=True, slots=True)
class Known:
    """One entry of a detector's inventory: its `value` then, and a `rank` by which old entries are forgotten."""

    value: str
    rank: float = 0.0


@dataclass(frozen=True, slots=True)
class InventoryChange:
    """What the inventory becomes when the detection is stored, in the same transaction: replace all, then set, then drop."""

    put: Mapping[str, Known] = field(default_factory=dict)
    drop: Iterable[str] = ()
    drop_below: float | None = None
    """Drop every entry whose rank is lower than this."""

    @property
    def empty(self) -> bool:
        return not self.put and not tuple(self.drop) and self.drop_below is None


class Inventory(Protocol):
    """What a detector remembers of its source beside the cursor: key -> Known, kept by the store, moved with the cursor."""

    async def read(self) -> dict[str, Known]:
        """All entries, as they were stored with the cursor that this look started from."""
        ...


@dataclass(frozen=True, slots=True)
class Detection:
    """One answer of a detector: how much changed since a cursor, and the next cursor.

    `changes` is the sum of `operations`. A detection with no changes may still move the cursor or the inventory.
    `more` asks for the next look at once; `look_again` (seconds) for one sooner than the interval.
    `cursor_at` says up to when all has been seen, where the source can tell.
    """

    cursor: Cursor
    changes: int = 0
    operations: Mapping[Operation, int] = field(default_factory=dict)
    bytes: int = 0
    files: tuple[FileChange, ...] = ()
    first_change_at: datetime | None = None
    last_change_at: datetime | None = None
    range: Range | None = None
    sample: tuple[str, ...] = ()
    note: str = ""
    filtered: int = 0
    repeated: int = 0
    inventory: InventoryChange = field(default_factory=InventoryChange)
    more: bool = False
    look_again: float | None = None
    cursor_at: datetime | None = None

    def __post_init__(self) -> None:
        if self.changes != sum(self.operations.values()):
            raise ValueError(f"{self.changes} changes, but the operations add up to {sum(self.operations.values())}")
        if min(self.changes, self.bytes, self.filtered, self.repeated, *self.operations.values()) < 0:
            raise ValueError("a detection cannot count below zero")


class Detector(Protocol):
    """Code that, given a cursor, answers what changed since. It only detects: timing, retry, storage and logs are around it."""

    async def detect(self, cursor: Cursor | None, inventory: Inventory, limit: int) -> Detection:
        """One look. `cursor` None is the first look. At most `limit` changes are answered; the rest comes with `more`.

        It must be safe to cancel at any await, and to call again with the same cursor.
        Raises SourceError when the source cannot be read; the cursor then stays.
        """
        ...

    def hints(self) -> AsyncIterator[None]:
        """Yields whenever a look is worth doing now. Every hint may be lost; without any this ends at once."""
        ...

    async def close(self) -> None:
        """Give everything back. Called once, also after a failure."""
        ...
