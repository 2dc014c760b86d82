"""A real folder with a detector on it, a clock that stands until it is moved, and a keeper in the store's place."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.detectors.conformance import LIMIT, Keeper
from watcher.detection import Detection, Operation
from watcher.detectors.filesystem import FilesystemDetector
from watcher.pipeline.model import FilesystemSource, FilesystemWatch

ALL: tuple[Operation, ...] = ("insert", "update", "delete")
NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)


@dataclass(slots=True)
class StandingClock:
    """Monotonic seconds, moved by hand; `now` is the time of day that goes with them."""

    seconds: float = 1000.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds - 1000)


def make_detector(root: Path, clock: StandingClock | None = None, **keys: Any) -> FilesystemDetector:
    """`keys` are those of the source and of its `watch:`; without `settle` everything counts at once."""
    clock = clock or StandingClock()
    ours = {name: keys.pop(name) for name in ("pattern", "ignore") if name in keys}
    keys["settle"] = timedelta(seconds=keys.get("settle", 0))
    source = FilesystemSource(source_id="landing", path=os.fspath(root), watch=FilesystemWatch(**keys), **ours)
    return FilesystemDetector(source, monotonic=clock.monotonic, now=clock.now)


@dataclass(slots=True)
class Watched:
    """`look` answers what one look found, as sorted (operation, path relative to the root)."""

    root: Path
    detector: FilesystemDetector
    clock: StandingClock
    keeper: Keeper = field(default_factory=Keeper)
    last: Detection | None = None

    async def look(self, limit: int = LIMIT) -> list[tuple[str, str]]:
        self.last = await self.keeper.look(self.detector, limit)
        prefix = os.fspath(self.root) + "/"
        return [(file.operation, file.path.removeprefix(prefix)) for file in self.last.files]

    @property
    def answer(self) -> Detection:
        assert self.last is not None
        return self.last


@asynccontextmanager
async def watched(root: Path, **keys: Any) -> AsyncIterator[Watched]:
    """A folder after its first look."""
    clock = StandingClock()
    one = Watched(root, make_detector(root, clock, **keys), clock)
    try:
        await one.look()
        yield one
    finally:
        await one.detector.close()


@contextmanager
def quick_folder() -> Iterator[Path]:
    """A folder in memory where the system has one: thousands of files cost no disk, and the kernel tells of them as ever."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as name:
        yield Path(name)


def write(path: Path, content: str | bytes = b"1") -> Path:
    """Write a file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
