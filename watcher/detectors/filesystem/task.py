"""What a look is given, and what it leaves to the next one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event
from typing import NamedTuple

from watcher.detection import Cursor, Detection, Known
from watcher.detectors.filesystem.compare import Settling
from watcher.detectors.filesystem.content import Contents
from watcher.detectors.filesystem.mounts import FileSystem
from watcher.detectors.filesystem.options import Options


@dataclass(frozen=True, slots=True)
class Memory:
    """What one look leaves to the next. All of it may be lost: it saves reading, and it times the settling of files."""

    cursor: Cursor | None = None
    known: Mapping[str, str] = field(default_factory=dict)
    settling: Mapping[str, Settling] = field(default_factory=dict)
    doubtful: frozenset[str] = frozenset()
    folders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """What a look works on. `stored` is the inventory as read for `cursor`; None when `memory.known` is still it."""

    options: Options
    cursor: Cursor | None
    stored: Mapping[str, Known] | None
    memory: Memory
    limit: int

    def known(self) -> Mapping[str, str]:
        """The inventory that belongs to the cursor."""
        if self.stored is None:
            return self.memory.known
        return {key: one.value for key, one in self.stored.items()}


@dataclass(frozen=True, slots=True)
class Tools:
    """What a look works with: seconds that only grow, the time of day (aware), digests, and the sign to stop."""

    monotonic: Callable[[], float]
    now: Callable[[], datetime]
    contents: Contents
    stop: Event


class Looked(NamedTuple):
    """The answer, what to remember of this look, and where the folder lies."""

    detection: Detection
    memory: Memory
    file_system: FileSystem
