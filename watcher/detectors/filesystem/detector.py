"""The detector of files: scans in a thread of its own, keeps the truth in the inventory, lets the kernel only wake it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from threading import Event
from typing import Final

from watcher.detection import Cursor, Detection, Inventory
from watcher.detectors.filesystem.content import Contents
from watcher.detectors.filesystem.hints import FolderHints, State
from watcher.detectors.filesystem.look import look
from watcher.detectors.filesystem.mounts import FileSystem, file_system_of
from watcher.detectors.filesystem.options import options_of
from watcher.detectors.filesystem.task import Memory, Task, Tools
from watcher.pipeline.model import FilesystemSource

_STATES: Final[dict[State, str]] = {
    "off": "polling: kernel events are not followed",
    "waiting": "polling: until the folder can be watched",
    "watching": "notify: kernel events wake, scans find",
    "exhausted": "polling: the system gives no more watches (fs.inotify.max_user_watches, max_user_instances)",
}


def utc_now() -> datetime:
    """The time of day, with its zone."""
    return datetime.now(UTC)


class FilesystemDetector:
    """Answers which files of a folder were created, modified and deleted since the cursor.

    What counts as one change: the difference between the inventory and what lies there now. So a file replaced by a rename is
    one update, a temporary name that is gone at the next look never was, and what came and went between looks is not seen.
    A changed size, time or inode counts; an older time counts as a newer one does. With `hash` the content decides.
    """

    def __init__(
        self,
        source: FilesystemSource,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._options = options = options_of(source)
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="watcher-files")
        self._clocks = monotonic, now
        self._contents = Contents()
        self._memory = Memory()
        self._file_system: FileSystem | None = None
        self._hints = FolderHints(options.root, retry_after=options.rescan)
        self._stop = Event()

    async def detect(self, cursor: Cursor | None, inventory: Inventory, limit: int) -> Detection:
        """One scan of the folder, compared with the inventory. Raises SourceError:

        source-schema (no such folder, at the first look), source-vanished (it was there; nothing is recorded, and it heals
        when the folder is back), source-forbidden (a folder in it cannot be read; its files are not taken for deleted),
        source-unreachable (the file system answers with an error).
        """
        ours = cursor is not None and self._memory.cursor is not None and dict(cursor) == dict(self._memory.cursor)
        stored = None if ours else await inventory.read()
        self._stop = stop = Event()
        task = Task(self._options, cursor, stored, self._memory, limit)
        tools = Tools(*self._clocks, self._contents, stop)
        try:
            looked = await asyncio.get_running_loop().run_in_executor(self._pool, look, task, tools)
        except asyncio.CancelledError:
            stop.set()
            raise
        self._memory, self._file_system = looked.memory, looked.file_system
        self._hints.follow(looked.memory.folders)
        return self._without_events(looked.detection)

    async def hints(self) -> AsyncGenerator[None, None]:
        """The kernel's events, in bursts. Ends at once with `polling`, and where the file system does not tell of all writes."""
        if not self._options.wants_events:
            return
        loop = asyncio.get_running_loop()
        self._file_system = await loop.run_in_executor(self._pool, file_system_of, self._options.root)
        if not self._file_system.tells_all:
            return
        async with aclosing(self._hints.hints()) as hints:
            async for hint in hints:
                yield hint

    async def close(self) -> None:
        """Ends hints and a look in hand. May be called twice."""
        self._stop.set()
        self._hints.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def describe(self) -> str:
        """How changes are found now, and why so, for people."""
        if not self._options.wants_events:
            return "polling: as configured"
        kind = self._file_system.kind if self._file_system is not None else ""
        if self._file_system is not None and not self._file_system.tells_all:
            return f"polling: {kind} tells nothing of what others write"
        return _STATES[self._hints.state]

    def _without_events(self, detection: Detection) -> Detection:
        """Where no event wakes us the next look is due after `interval`, not only after `rescan`."""
        if not self._options.wants_events or self._hints.state == "watching":
            return detection
        again = self._options.interval
        return replace(
            detection, look_again=again if detection.look_again is None else min(again, detection.look_again)
        )
