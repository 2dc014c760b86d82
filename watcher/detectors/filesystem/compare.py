"""What differs between a scan and the inventory, and which of it is old enough to count; pure, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from watcher.detectors.filesystem.entry import same
from watcher.detectors.filesystem.scan import Scan

SOONEST: Final = 0.02
BETWEEN_LOOKS: Final = 1.0
"""Seconds between looks that `confirm` asks for beyond the resting time."""


class Settling(NamedTuple):
    """A file that differs from the inventory, since when (monotonic seconds) and in how many looks it has been exactly so."""

    stamp: str
    since: float
    looks: int


@dataclass(frozen=True, slots=True)
class Times:
    """When a scan began and ended (monotonic seconds); how long and for how many looks a file must rest before it counts."""

    begun: float
    ended: float
    settle: float
    confirm: int = 1

    def rested(self, settling: Settling) -> bool:
        return (self.settle <= 0 or self.begun - settling.since >= self.settle) and settling.looks >= self.confirm

    def left(self, settling: Settling) -> float:
        """Seconds from the end of the scan until the next look at it is worth doing."""
        soonest = BETWEEN_LOOKS if settling.looks < self.confirm else SOONEST
        return max(soonest, settling.since + self.settle - self.ended)


@dataclass(slots=True)
class Comparison:
    """Keys. `due` count now, `gone` are known and were not found, `unmarked` is the number that waits for a marker.

    `settling` has every file that differs, the due ones too: they stay until the inventory has them. `wait` is the time in
    seconds until the next of them may count, None when no time alone will do it.
    """

    due: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    settling: dict[str, Settling] = field(default_factory=dict)
    resting: int = 0
    unmarked: int = 0
    wait: float | None = None


def compare(scan: Scan, known: Mapping[str, str], before: Mapping[str, Settling], times: Times) -> Comparison:
    """`before` is the `settling` of the look before.

    A file rested from the end of the look that first showed it so to the beginning of this one: never less than it really did.
    """
    result = Comparison(gone=[key for key in known if key not in scan.files])
    for key, stamp in scan.files.items():
        entry = known.get(key)
        if entry is None or not same(entry, stamp):
            _add(result, key, _settling(stamp, before.get(key), times), times, marked=key not in scan.waiting)
    return result


def _settling(stamp: str, before: Settling | None, times: Times) -> Settling:
    if before is not None and before.stamp == stamp:
        return before._replace(looks=before.looks + 1)
    return Settling(stamp, times.ended, 1)


def _add(result: Comparison, key: str, settling: Settling, times: Times, *, marked: bool) -> None:
    result.settling[key] = settling
    if not marked:
        result.unmarked += 1
    elif times.rested(settling):
        result.due.append(key)
    else:
        result.resting += 1
        left = times.left(settling)
        result.wait = left if result.wait is None else min(left, result.wait)
