"""From differences to counted changes: the limit, deleted files that may only have been overlooked, and content."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field

from watcher.detectors.filesystem.compare import Comparison, Settling
from watcher.detectors.filesystem.entry import decode, digest_of, encode, entry_of, size_of
from watcher.detectors.filesystem.tally import Tally
from watcher.detectors.filesystem.task import Task, Tools


@dataclass(slots=True)
class Counting:
    """Fills `tally`. `more` says that the limit cut it short; `doubtful` and `moving` are files to look at again soon."""

    task: Task
    tools: Tools
    known: Mapping[str, str]
    tally: Tally = field(init=False)
    more: bool = False
    doubtful: set[str] = field(default_factory=set)
    moving: int = 0

    def __post_init__(self) -> None:
        root = encode(self.task.options.root).rstrip("/")
        self.tally = Tally(root + "/", self.task.options.operations)

    def take_as_known(self, compared: Comparison, waiting: set[str]) -> None:
        """The first look of `start_from: now`: what is complete is known and counts no more.

        Files in `waiting` have no marker yet, so they are part of something unfinished, and will count.
        """
        for key in [key for key in compared.settling if key not in waiting]:
            stamp = compared.settling.pop(key).stamp
            self.tally.put[key] = entry_of(stamp, (self._digest(key, stamp) or "") if self.task.options.content else "")
        self.tally.drop.extend(compared.gone)
        compared.resting, compared.wait = 0, None

    def count(self, compared: Comparison) -> None:
        """What is due, in the order of the keys, up to the limit."""
        gone = set(compared.gone)
        for key in sorted([*compared.due, *compared.gone]):
            if len(self.tally.files) >= self.task.limit:
                self.more = True
                return
            if key in gone:
                self._gone(key)
            else:
                self._due(key, compared.settling)

    def _gone(self, key: str) -> None:
        path, options = decode(key), self.task.options
        if path.rpartition("/")[2] == options.marker or not options.patterns.covers(path):
            self.tally.drop.append(key)  # the pipeline file changed, nothing happened to the file
        elif key not in self.task.memory.doubtful and _is_file(f"{options.root}/{path}"):
            self.doubtful.add(key)  # a folder read while names move in it may leave one out: gone is what is gone twice
        else:
            self.tally.drop.append(key)
            self.tally.count(key, "delete", 0, self.tools.monotonic())

    def _due(self, key: str, settling: dict[str, Settling]) -> None:
        stamp, since, _ = settling[key]
        entry, digest = self.known.get(key), ""
        if self.task.options.content:
            read = self._digest(key, stamp)
            if read is None:  # written or gone while we read it: it has to settle anew
                del settling[key]
                self.moving += 1
                return
            digest = read
        self.tally.put[key] = entry_of(stamp, digest)
        if entry is None:
            self.tally.count(key, "insert", size_of(stamp), since)
        elif not digest or digest != digest_of(entry):
            self.tally.count(key, "update", size_of(stamp), since)

    def _digest(self, key: str, stamp: str) -> str | None:
        return self.tools.contents.digest(f"{self.task.options.root}/{decode(key)}", stamp, self.tools.stop)


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False
