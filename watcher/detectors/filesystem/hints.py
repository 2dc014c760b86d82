"""The kernel's events as hints: every one may be lost, and whatever goes wrong here only makes the next look later.

The only importer of watchfiles. Each folder is watched by itself, those that the last scan walked: a recursive watch of the
library follows links out of the root, into `/` if somebody makes such a link, and watches ignored folders too. And the
library's own `awatch` waits in a pool of forty threads that all share; the forty-first folder would never be watched.
"""

from __future__ import annotations

import asyncio
import contextlib
import stat
import time
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path
from threading import Thread
from typing import Final, Literal

from watchfiles import watch

DEBOUNCE_MS: Final = 100
STEP_MS: Final = 10
CHECK: Final = 1.0
"""Seconds after which the root is compared with the one that is watched: when it is made anew the kernel says nothing."""

FIRST_PAUSE, LONGEST_PAUSE, QUIET = 0.05, 5.0, 10.0
"""Seconds between a watch that broke and the next; a watch that lived for QUIET seconds begins the series anew."""

_UNDECODABLE: Final = "Unable to decode path"
State = Literal["off", "waiting", "watching", "exhausted"]
"""`waiting`: for a root that is not there. `exhausted`: the system gives no more watches or descriptors; tried again later."""


class KernelWatch:
    """Folders watched in a thread until `stop`; sets `wake` when it has begun, at each burst of events and at its end.

    It is the library's stop sign itself: the first time the library asks is the moment at which all folders are watched.
    """

    def __init__(self, root: str, folders: frozenset[str], wake: asyncio.Event) -> None:
        self.folders = folders
        self._root = root
        self.began = self.hinted = self.ended = False
        self.started = time.monotonic()
        self.took = 0.0
        self.error: Exception | None = None
        self._wake = wake
        self._loop = asyncio.get_running_loop()
        self._stopped = False

    def start(self) -> None:
        """A thread that ends with the process whatever the kernel does, so it can be left alone after `stop`."""
        Thread(target=self._run, name="watcher-hints", daemon=True).start()

    def stop(self) -> None:
        """The thread ends within one step of the library; nobody has to wait for it."""
        self._stopped = True

    def is_set(self) -> bool:
        """The library asks in every step."""
        if not self.began:
            self.took, self.began = time.monotonic() - self.started, True
            self._tell()
        return self._stopped

    def _run(self) -> None:
        try:
            self._watch()
        except (OSError, RuntimeError) as error:
            self.error = error
        self.ended = True
        self._tell()

    def _watch(self) -> None:
        events = watch(
            *(folder for folder in self.folders if _watchable(folder, link=folder == self._root)),
            watch_filter=None,
            debounce=DEBOUNCE_MS,
            step=STEP_MS,
            stop_event=self,
            rust_timeout=0,
            force_polling=False,
            recursive=False,
            ignore_permission_denied=False,  # True makes watchfiles 1.3.0 silent about a lack of watches too
        )
        for _ in events:
            self._tell()

    def _tell(self) -> None:
        if not self._stopped:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
                self._loop.call_soon_threadsafe(self._wake.set)


class FolderHints:
    """Hints for one root. `follow` is told after each look which folders there are; `close` ends the iteration."""

    def __init__(self, root: str, *, retry_after: float) -> None:
        self._root = root
        self._retry_after = retry_after
        self._folders = frozenset([root])
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._pause = FIRST_PAUSE
        self.state: State = "off"

    def follow(self, folders: Iterable[str]) -> None:
        """The folders that a scan walked, absolute. New ones are watched from now on; those that are gone end by themselves."""
        before, self._folders = self._folders, frozenset(folders) | {self._root}
        if self._folders - before:
            self._wake.set()

    def close(self) -> None:
        """Ends `hints`, also one that is waiting."""
        self._closing.set()
        self._wake.set()

    async def hints(self) -> AsyncGenerator[None, None]:
        """One for each burst of events, and one whenever events may have been missed. Ends after `close`, never by itself."""
        try:
            while not self._closing.is_set():
                async with contextlib.aclosing(self._session()) as session:
                    async for _ in session:
                        yield None
                await self._rest()
        finally:
            self.state = "off"

    async def _session(self) -> AsyncGenerator[None, None]:
        """One kernel watch, until the root is another one, there are new folders, or the watch broke."""
        identity = _identity(self._root)
        if identity is None:
            self._back_off("waiting", CHECK)
            return
        kernel = KernelWatch(self._root, self._folders, self._wake)
        kernel.start()
        try:
            while True:
                woken, replaced = await self._woken(), _identity(self._root) != identity
                if self._closing.is_set():
                    return
                if kernel.began:
                    self.state = "watching"
                if kernel.hinted and self._folders - kernel.folders:
                    self._pause = kernel.took  # a growing tree costs at most half of the time
                    return
                if kernel.ended or replaced:
                    self._judge(kernel)
                    yield None
                    return
                if woken and kernel.began:
                    kernel.hinted = True
                    yield None
        finally:
            kernel.stop()

    async def _woken(self) -> bool:
        try:
            async with asyncio.timeout(CHECK):
                await self._wake.wait()
        except TimeoutError:
            return False
        self._wake.clear()
        return True

    async def _rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._pause):
                await self._closing.wait()

    def _judge(self, kernel: KernelWatch) -> None:
        """What the end of a watch means for the next one."""
        if kernel.error is None:
            self._pause = 0.0
        elif isinstance(kernel.error, FileNotFoundError | PermissionError) or _UNDECODABLE in str(kernel.error):
            # a folder went or was closed while it was added; or a name that is not Unicode, which ends the whole watch of the library
            self._back_off("waiting", LONGEST_PAUSE, fresh=kernel.took + QUIET < time.monotonic() - kernel.started)
        else:
            self.state, self._pause = "exhausted", self._retry_after

    def _back_off(self, state: State, longest: float, *, fresh: bool = False) -> None:
        self.state = state
        self._pause = FIRST_PAUSE if fresh else min(longest, max(FIRST_PAUSE, 2 * self._pause))


def _identity(root: str) -> tuple[int, int] | None:
    try:
        status = Path(root).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _watchable(folder: str, *, link: bool) -> bool:
    """A folder (or, with `link`, what leads to one; no link that took its place), with a name that the library can take."""
    try:
        folder.encode()
        return stat.S_ISDIR(Path(folder).stat(follow_symlinks=link).st_mode)
    except (OSError, UnicodeEncodeError):
        return False
