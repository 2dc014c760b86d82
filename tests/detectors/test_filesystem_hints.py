"""The kernel's events as hints: they come, they come again after every trouble, and losing them all loses no change."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.detectors.conformance import Keeper
from tests.detectors.filesystem_folder import make_detector, quick_folder, write
from watcher.detectors.filesystem import FilesystemDetector
from watcher.detectors.filesystem import detector as detector_module
from watcher.detectors.filesystem.mounts import FileSystem
from watcher.errors import SourceError

PATIENCE = 10.0
PROGRAMS = Path(__file__).with_name("filesystem_programs.py")


@dataclass(slots=True)
class Follower:
    """Looks at each hint, as the daemon does, and keeps what was found."""

    detector: FilesystemDetector
    keeper: Keeper = field(default_factory=Keeper)
    hints: int = 0
    failed: int = 0
    moved: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def run(self) -> None:
        async for _ in self.detector.hints():
            try:
                await self.keeper.look(self.detector)
            except SourceError:
                self.failed += 1
            async with self.moved:
                self.hints += 1
                self.moved.notify_all()

    async def until(self, fact: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE), self.moved:
            await self.moved.wait_for(fact)

    async def finds(self, path: Path) -> None:
        """Waits until a hint led to this file."""
        await self.until(lambda: any(file.path == os.fspath(path) for file in self.keeper.files))


@asynccontextmanager
async def following(root: Path, **keys: Any) -> AsyncIterator[Follower]:
    """Hints are followed, and the watch has begun where there is a root to watch."""
    follower = Follower(make_detector(root, **keys))
    there = os.access(root, os.R_OK)
    if there:
        await follower.keeper.look(follower.detector)
    task = asyncio.create_task(follower.run())
    try:
        if there:
            await follower.until(lambda: follower.hints > 0)
        yield follower
    finally:
        task.cancel()
        await asyncio.wait([task])
        await follower.detector.close()


async def test_a_written_file_gives_a_hint(tmp_path: Path) -> None:
    """A file written below a watched root is found without waiting for an interval, and the state says why."""
    async with following(tmp_path) as follower:
        assert follower.detector.describe() == "notify: kernel events wake, scans find"
        await follower.finds(write(tmp_path / "a.csv"))
        assert (await follower.detector.detect(follower.keeper.cursor, follower.keeper.inventory, 1)).look_again is None


async def test_a_new_folder_filled_in_a_burst_is_found(tmp_path: Path) -> None:
    """Folders made and filled before anybody could watch them are found whole, and are watched from then on."""
    async with following(tmp_path) as follower:
        for n in range(50):
            write(tmp_path / "new" / "deep" / f"{n % 5}" / f"f{n}")
        await follower.until(lambda: follower.keeper.changes == 50)
        for n in range(4):  # a hint left over from the burst may find the first
            await follower.finds(write(tmp_path / "new" / "deep" / f"{n}" / "later"))


async def test_a_root_deleted_and_made_anew_still_gives_hints(tmp_path: Path) -> None:
    """The kernel goes silent when the root is replaced; we notice and watch the new one."""
    root = tmp_path / "root"
    write(root / "a.csv")
    async with following(root) as follower:
        shutil.rmtree(root)
        await follower.until(lambda: follower.failed > 0)
        root.mkdir()
        await follower.finds(write(root / "b.csv"))
        hints = follower.hints
        await follower.until(lambda: follower.hints > hints or follower.detector.describe().startswith("notify"))
        await follower.finds(write(root / "c.csv"))


async def test_a_root_moved_away_and_replaced_is_noticed(tmp_path: Path) -> None:
    """A root swapped for another folder in one moment is noticed by its inode."""
    root, other = tmp_path / "root", tmp_path / "other"
    root.mkdir()
    write(other / "b.csv")
    async with following(root) as follower:
        root.rename(tmp_path / "old")
        other.rename(root)
        await follower.finds(root / "b.csv")


async def test_a_root_that_comes_later_is_watched_then(tmp_path: Path) -> None:
    """Without a root we wait for it, and give a hint when it is there."""
    async with following(tmp_path / "later") as follower:
        assert follower.hints == 0
        (tmp_path / "later").mkdir()
        await follower.until(lambda: follower.hints > 0)
        await follower.finds(write(tmp_path / "later" / "a.csv"))


async def test_a_name_that_is_no_unicode_does_not_end_the_hints(tmp_path: Path) -> None:
    """The library's watch breaks at such a name (watchfiles 1.3.0: "Unable to decode path"); ours goes on."""
    async with following(tmp_path) as follower:
        write(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.csv")))
        await follower.until(lambda: follower.keeper.changes == 1)
        (tmp_path / os.fsdecode(b"d\xff")).mkdir()
        await follower.finds(write(tmp_path / "plain.csv"))
        write(tmp_path / os.fsdecode(b"d\xff") / "below")
        await follower.finds(write(tmp_path / "plain-too.csv"))


async def test_links_are_not_watched(tmp_path: Path) -> None:
    """What happens behind a link out of the root gives no hint."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    outside.mkdir()
    root.mkdir()
    (root / "out").symlink_to(outside)
    async with following(root) as follower:
        hints = follower.hints
        write(outside / "a.csv")
        await follower.finds(write(root / "b.csv"))
        assert follower.hints <= hints + 2
        assert all("/outside/" not in file.path and "/out/" not in file.path for file in follower.keeper.files)


async def test_a_root_that_is_a_link_is_watched(tmp_path: Path) -> None:
    """A configured link to a folder gives hints as the folder does, and when it is turned to another one that is noticed."""
    first, second, root = tmp_path / "1", tmp_path / "2", tmp_path / "current"
    first.mkdir()
    write(second / "b.csv")
    root.symlink_to(first)
    async with following(root) as follower:
        write(first / "a.csv")
        await follower.finds(root / "a.csv")
        (tmp_path / "next").symlink_to(second)
        (tmp_path / "next").replace(root)
        await follower.finds(root / "b.csv")


async def test_polling_gives_no_hints(tmp_path: Path) -> None:
    """With `polling` the iteration ends at once."""
    detector = make_detector(tmp_path, method="polling")
    assert [hint async for hint in detector.hints()] == []
    await detector.close()


async def test_a_file_system_that_does_not_tell_is_polled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a network file system `notify` gives no hints either, and says so."""
    # no network file system can be mounted in a test; this is the seam where the kernel's list of mounts is read
    monkeypatch.setattr(detector_module, "file_system_of", lambda _: FileSystem("nfs4"))
    detector = make_detector(tmp_path)
    assert [hint async for hint in detector.hints()] == []
    assert detector.describe() == "polling: nfs4 tells nothing of what others write"
    await detector.close()


@pytest.mark.parametrize("end", ["cancel", "aclose", "close"])
async def test_every_end_stops_the_thread(tmp_path: Path, end: str) -> None:
    """However the iteration ends, the thread that waits for the kernel ends with it, promptly."""
    detector = make_detector(tmp_path)
    hints: AsyncGenerator[None, None] = detector.hints()
    await asyncio.wait_for(anext(hints), PATIENCE)
    threads = [one for one in threading.enumerate() if one.name == "watcher-hints"]
    assert len(threads) == 1
    if end == "aclose":
        await hints.aclose()
    else:
        waiting = asyncio.ensure_future(anext(hints, None))
        await asyncio.sleep(0)
        if end == "cancel":
            waiting.cancel()
        else:
            await detector.close()
        await asyncio.wait_for(asyncio.wait([waiting]), PATIENCE)
    await asyncio.to_thread(threads[0].join, PATIENCE)
    assert not threads[0].is_alive()
    await detector.close()


async def run_in_process(*arguments: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, os.fspath(PROGRAMS), *arguments, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    answer = json.loads(output)
    assert isinstance(answer, dict)
    return answer


async def test_an_overflown_queue_loses_nothing() -> None:
    """20,000 files made while the reader stood still overflow the kernel's queue; the scan finds every one."""
    with quick_folder() as folder:
        answer = await run_in_process("overflow", os.fspath(folder), "20000")
    assert answer["changes"] == 20_000
    assert answer["hints"] >= 1


@pytest.mark.parametrize("folders", [0, 20], ids=["descriptors", "watches"])
async def test_nothing_left_to_watch_with_means_polling(tmp_path: Path, folders: int) -> None:
    """Out of descriptors or watches we give one hint, say that we poll, still find changes by looking, and never crash."""
    answer = await run_in_process("exhausted", os.fspath(tmp_path), str(folders))
    assert answer["hints"] == 1
    assert answer["state"].startswith("polling: the system gives no more watches")
    assert answer["changes"] == 1
    assert answer["look_again"] == 30
