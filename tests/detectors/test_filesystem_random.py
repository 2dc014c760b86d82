"""Any history of a folder, with restarts, lost answers and cancelled looks: what was seen is what was made."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.detectors.conformance import LIMIT, Keeper
from tests.detectors.filesystem_folder import ALL, make_detector, quick_folder
from watcher.detection import Operation
from watcher.detectors.filesystem import FilesystemDetector

NAMES = ["a", "b", "x/a", "x/b", "x/y/a", "z/\udcff", "z/n\nl"]
Step = tuple[str, str, str]

steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["write", "append", "delete", "touch"]), st.sampled_from(NAMES), st.just("")),
        st.tuples(st.sampled_from(["replace", "rename", "link"]), st.sampled_from(NAMES), st.sampled_from(NAMES)),
        st.tuples(st.sampled_from(["look", "look", "lost", "cancel", "restart"]), st.just(""), st.just("")),
    ),
    max_size=40,
)


@dataclass(slots=True)
class Oracle:
    """Makes changes and keeps, for each path, a token that differs whenever the file is another one or was written."""

    root: Path
    files: dict[str, object] = field(default_factory=dict)
    size: int = 0

    def apply(self, verb: str, name: str, other: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (self.root / other).parent.mkdir(parents=True, exist_ok=True)
        if verb == "write":
            self._grow(path, "wb")
            self._written(name)
        elif verb == "replace":
            self._grow(self.root / "new.tmp", "wb")
            (self.root / "new.tmp").replace(path)
            self.files[name] = object()
        elif name not in self.files:
            return
        elif verb == "append":
            self._grow(path, "ab")
            self._written(name)
        elif verb == "touch":
            self.size += 1
            os.utime(path, (1_000_000_000 + self.size, 1_000_000_000 + self.size))
            self._written(name)
        elif verb == "delete":
            path.unlink()
            del self.files[name]
        elif name != other and not (other in self.files and path.samefile(self.root / other)):
            self._move(verb, name, other)

    def _move(self, verb: str, name: str, other: str) -> None:
        if verb == "rename":
            (self.root / name).replace(self.root / other)
            self.files[other] = self.files.pop(name)
        elif other not in self.files:
            (self.root / other).hardlink_to(self.root / name)
            self.files[other] = self.files[name]

    def _grow(self, path: Path, mode: str) -> None:
        """Every state of every file has a size of its own, so that no clock has to be fine enough to tell them apart."""
        self.size += 1
        with path.open(mode) as file:
            file.truncate(0)
            file.write(b"x" * self.size)

    def _written(self, name: str) -> None:
        old, new = self.files.get(name), object()
        linked = [one for one, token in self.files.items() if token is old and old is not None]
        for one in [name, *linked]:
            self.files[one] = new


def difference(before: dict[str, object], now: dict[str, object]) -> Counter[Operation]:
    counts: Counter[Operation] = Counter()
    counts["insert"] = len(now.keys() - before.keys())
    counts["delete"] = len(before.keys() - now.keys())
    counts["update"] = sum(1 for name in now.keys() & before.keys() if now[name] is not before[name])
    return +counts


async def play(root: Path, history: list[Step], limit: int) -> None:
    oracle, keeper = Oracle(root), Keeper()
    detector = make_detector(root, operations=ALL)
    await keeper.drain(detector, limit)
    seen: dict[str, object] = {}
    try:
        for verb, name, other in [*history, ("look", "", "")]:
            if verb == "restart":
                await detector.close()
                detector = make_detector(root, operations=ALL)
            elif verb == "lost":
                await detector.detect(keeper.cursor, keeper.inventory, limit)
            elif verb == "cancel":
                await cancelled(detector, keeper, limit)
            elif verb == "look":
                before = Counter(keeper.operations)
                await keeper.drain(detector, limit)
                found = Counter(keeper.operations)
                found.subtract(before)
                assert +found == difference(seen, oracle.files)
                seen = dict(oracle.files)
            else:
                oracle.apply(verb, name, other)
        assert await keeper.drain(detector, LIMIT) == 0
        assert len(keeper.entries) == len(oracle.files)
    finally:
        await detector.close()


async def cancelled(detector: FilesystemDetector, keeper: Keeper, limit: int) -> None:
    looking = asyncio.create_task(detector.detect(keeper.cursor, keeper.inventory, limit))
    await asyncio.sleep(0)
    looking.cancel()
    await asyncio.wait([looking])


@given(steps, st.sampled_from([1, 2, LIMIT]))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_seen_is_made(history: list[Step], limit: int) -> None:
    """Between two looks exactly the differences are found, whatever was lost, cancelled or started anew meanwhile."""
    with quick_folder() as folder:
        asyncio.run(play(folder, history, limit))
