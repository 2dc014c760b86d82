"""Files in a real folder: each way in which a file can change, and what it counts as."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.detectors.conformance import Case, DetectorConformance, Keeper, StartFrom
from tests.detectors.filesystem_folder import ALL, Watched, make_detector, watched, write
from watcher import detectors
from watcher.detection import Detector
from watcher.detectors.filesystem import FilesystemDetector
from watcher.errors import ConfigError
from watcher.pipeline.model import FilesystemSource, FilesystemWatch


class FolderCase(Case):
    """A folder of three files; it is broken by moving it away."""

    def __init__(self, root: Path, keys: dict[str, Any]) -> None:
        self.root, self.keys, self.made = root, keys, 0
        for n in range(self.existing):
            write(root / f"old-{n}.csv")

    async def make(self, start_from: StartFrom = "now") -> Detector:
        return make_detector(self.root, start_from=start_from, **self.keys)

    async def change(self, n: int) -> None:
        for _ in range(n):
            self.made += 1
            write(self.root / f"day-{self.made % 3}" / f"new-{self.made}.csv", str(self.made))

    async def break_source(self) -> str:
        self.root.rename(self.root.with_name("away"))
        return "source-vanished"

    async def mend_source(self) -> None:
        self.root.with_name("away").rename(self.root)

    async def unchanged(self) -> None:
        write(self.root / "half.part", "not yet")
        (self.root / "link").symlink_to(self.root / "old-0.csv")


class TestConformance(DetectorConformance):
    """All that any detector promises, with the kernel's events, without them, and with digests."""

    @pytest.fixture(params=[{"method": "notify"}, {"method": "polling"}, {"method": "polling", "hash": True}])
    def case(self, tmp_path: Path, request: pytest.FixtureRequest) -> Case:
        return FolderCase(tmp_path / "root", request.param)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "landing"
    folder.mkdir()
    return folder


@pytest.fixture
async def folder(root: Path) -> AsyncIterator[Watched]:
    """Watched for all operations, without settling, holding a.csv and b/c.csv."""
    write(root / "a.csv", "one")
    write(root / "b" / "c.csv", "two")
    async with watched(root, operations=ALL) as one:
        yield one


async def test_a_new_file_is_an_insert_with_its_size(folder: Watched) -> None:
    """A file that was not there counts once, with its absolute path and its bytes."""
    write(folder.root / "b" / "new.csv", "12345")
    assert await folder.look() == [("insert", "b/new.csv")]
    assert (folder.answer.bytes, folder.answer.files[0].bytes) == (5, 5)
    assert folder.answer.sample == (f"{folder.root}/b/new.csv",)
    assert await folder.look() == []


async def test_a_written_file_is_an_update(folder: Watched) -> None:
    """Writing into a known file counts as one update."""
    write(folder.root / "a.csv", "longer than before")
    assert await folder.look() == [("update", "a.csv")]


async def test_a_deleted_file_is_a_delete_without_bytes(folder: Watched) -> None:
    """A known file that is gone counts as one delete and adds no bytes."""
    (folder.root / "a.csv").unlink()
    assert await folder.look() == [("delete", "a.csv")]
    assert folder.answer.bytes == 0
    assert await folder.look() == []


async def test_replace_by_rename_is_one_update(folder: Watched) -> None:
    """The atomic replace of careful writers is one update, not a delete and an insert."""
    os.replace(write(folder.root / ".a.csv.swp", "one"), folder.root / "a.csv")  # noqa: PTH105 - as the writers call it
    assert await folder.look() == [("update", "a.csv")]


async def test_another_inode_with_equal_size_and_time_is_an_update(folder: Watched) -> None:
    """A file replaced by one with the same size and the same modification time is still seen."""
    known = (folder.root / "a.csv").stat()
    other = write(folder.root / "new.tmp", "eno")
    os.utime(other, ns=(known.st_atime_ns, known.st_mtime_ns))
    other.replace(folder.root / "a.csv")
    assert await folder.look() == [("update", "a.csv")]


async def test_moved_in_is_an_insert_and_moved_out_a_delete(folder: Watched, tmp_path: Path) -> None:
    """Crossing the border of the root counts as coming and going; a move inside it as both."""
    write(tmp_path / "outside.csv").rename(folder.root / "in.csv")
    assert await folder.look() == [("insert", "in.csv")]
    (folder.root / "in.csv").rename(tmp_path / "outside.csv")
    assert await folder.look() == [("delete", "in.csv")]
    (folder.root / "a.csv").rename(folder.root / "b" / "a.csv")
    assert await folder.look() == [("delete", "a.csv"), ("insert", "b/a.csv")]


async def test_a_moved_folder_takes_its_files_along(folder: Watched) -> None:
    """Renaming a folder is a delete and an insert of each file in it."""
    (folder.root / "b").rename(folder.root / "z")
    assert await folder.look() == [("delete", "b/c.csv"), ("insert", "z/c.csv")]


async def test_an_old_time_is_as_new_as_any(folder: Watched, tmp_path: Path) -> None:
    """`cp -p` of a file from 2001 is an insert, and setting the clock of a known file back is an update."""
    old = write(tmp_path / "old.csv")
    os.utime(old, (1_000_000_000, 1_000_000_000))
    shutil.copy2(old, folder.root / "old.csv")
    os.utime(folder.root / "a.csv", (1_000_000_000, 1_000_000_000))
    assert await folder.look() == [("update", "a.csv"), ("insert", "old.csv")]


async def test_only_the_end_state_counts(folder: Watched) -> None:
    """A temporary name renamed between two looks never was, and a file that came and went neither."""
    write(folder.root / "upload-1").rename(folder.root / "done.csv")
    write(folder.root / "ghost.csv").unlink()
    assert await folder.look() == [("insert", "done.csv")]


async def test_a_hard_link_is_a_file_of_its_own(folder: Watched) -> None:
    """A second name of one file is an insert."""
    (folder.root / "d.csv").hardlink_to(folder.root / "a.csv")
    assert await folder.look() == [("insert", "d.csv")]


async def test_pattern_and_ignore_choose(root: Path) -> None:
    """Only what the pattern wants and no ignored name or folder counts."""
    async with watched(root, pattern="**/*.csv", ignore=("*.tmp", ".*", "old/**")) as folder:
        for name in ("a.csv", "x/y/b.csv", "c.txt", "d.csv.tmp", ".git/e.csv", ".f.csv", "old/g.csv", "x/old/h.csv"):
            write(root / name)
        assert await folder.look() == [("insert", "a.csv"), ("insert", "x/old/h.csv"), ("insert", "x/y/b.csv")]


async def test_operations_that_nobody_wants_are_summed_only(root: Path) -> None:
    """A filtered delete is counted as filtered, leaves the inventory, and is not found again."""
    write(root / "a.csv")
    async with watched(root) as folder:
        (root / "a.csv").unlink()
        assert await folder.look() == []
        assert folder.answer.filtered == 1
        assert folder.keeper.entries == {}
        await folder.look()
        assert folder.answer.filtered == 0


async def test_a_changed_pattern_forgets_without_counting(root: Path) -> None:
    """Files that a new pattern leaves out are not deletes."""
    write(root / "a.csv")
    write(root / "b.txt")
    async with watched(root, operations=ALL) as folder:
        folder.detector = make_detector(root, operations=ALL, pattern="**/*.csv")
        assert await folder.look() == []
        assert [*folder.keeper.entries] == ["a.csv"]
        await folder.detector.close()


async def test_a_touch_is_no_change_with_hash(root: Path) -> None:
    """With `hash` a new time alone counts nothing, a new content of equal size and time does."""
    file = write(root / "a.csv", "one")
    async with watched(root, hash=True) as folder:
        os.utime(file, (1_000_000_000, 1_000_000_000))
        assert await folder.look() == []
        assert await folder.look() == []
        other = write(root / "b.tmp", "two")
        os.utime(other, (1_000_000_000, 1_000_000_000))
        other.replace(file)
        assert await folder.look() == [("update", "a.csv")]


async def test_the_limit_goes_by_path(root: Path) -> None:
    """Changes beyond the limit come with the next looks, in the order of their paths, each once."""
    async with watched(root) as folder:
        for n in range(5):
            write(root / f"f{n}")
        assert await folder.look(limit=2) == [("insert", "f0"), ("insert", "f1")]
        assert folder.answer.more
        assert await folder.look(limit=2) == [("insert", "f2"), ("insert", "f3")]
        assert await folder.look(limit=2) == [("insert", "f4")]
        assert not folder.answer.more


async def test_the_cursor_changes_exactly_with_the_inventory(folder: Watched) -> None:
    """A quiet look hands the cursor back, a change of the inventory gives a new one, however it came about."""
    first = folder.keeper.cursor
    await folder.look()
    assert folder.keeper.cursor == first
    write(folder.root / "d.csv")
    await folder.look()
    second = folder.keeper.cursor
    assert second != first
    (folder.root / "d.csv").unlink()
    await folder.look()
    assert folder.keeper.cursor not in (first, second)


async def test_two_ways_from_one_cursor_give_two_cursors(folder: Watched) -> None:
    """Two replicas that saw different files from one cursor have different cursors, so none takes the other's for its own."""
    other = make_detector(folder.root, operations=ALL)
    write(folder.root / "d.csv")
    one = await folder.detector.detect(folder.keeper.cursor, folder.keeper.inventory, 10)
    write(folder.root / "e.csv")
    two = await other.detect(folder.keeper.cursor, folder.keeper.inventory, 10)
    assert one.cursor != two.cursor
    assert one.cursor["scan"] == two.cursor["scan"]
    await other.close()


async def test_the_inventory_is_read_once_while_answers_are_stored(folder: Watched) -> None:
    """The store is asked for the inventory only when the handed cursor is not that of the last answer."""
    reads = 0

    class Counted:
        async def read(self) -> dict[str, Any]:
            nonlocal reads
            reads += 1
            return await folder.keeper.inventory.read()

    cursor = folder.keeper.cursor
    write(folder.root / "d.csv")
    lost = await folder.detector.detect(cursor, Counted(), 10)
    assert reads == 0
    again = await folder.detector.detect(cursor, Counted(), 10)
    assert (reads, again.files) == (1, lost.files)


async def test_any_name_survives(root: Path) -> None:
    """Newlines, bytes that are no Unicode, quotes, percent signs and blanks are found, kept and given percent-encoded."""
    names = [b"two\nlines", b"\xff\xfe.csv", b"100%25", b"a b", b"<img onerror=x>", "grüße".encode(), b"tab\t'\""]
    async with watched(root, operations=ALL) as folder:
        for name in names:
            write(Path(os.fsdecode(os.path.join(os.fsencode(root), b"d\xe9", name))))  # noqa: PTH118 - bytes
        found = await folder.look()
        assert len(found) == len(names)
        assert ("insert", "d%E9/two%0Alines") in found
        assert ("insert", "d%E9/100%2525") in found
        assert all(path.isascii() and path.isprintable() for _, path in found)
        shutil.rmtree(os.fsencode(root / os.fsdecode(b"d\xe9")))
        assert [path for _, path in await folder.look()] == [path for _, path in found]


async def test_links_and_pipes_are_no_files(root: Path, tmp_path: Path) -> None:
    """Links are not followed, in, out or round and round, and a FIFO neither counts nor blocks the look."""
    outside = write(tmp_path / "outside" / "secret.csv").parent
    async with watched(root) as folder:
        (root / "loop").symlink_to(root)
        (root / "out").symlink_to(outside)
        (root / "file").symlink_to(outside / "secret.csv")
        (root / "dead").symlink_to(root / "nothing")
        os.mkfifo(root / "pipe")
        assert await asyncio.wait_for(folder.look(), 10) == []


async def test_a_root_that_is_a_link_is_followed(root: Path, tmp_path: Path) -> None:
    """Links above the root belong to whoever configured it."""
    (tmp_path / "current").symlink_to(root)
    async with watched(tmp_path / "current") as folder:
        write(root / "a.csv")
        assert await folder.look() == [("insert", "a.csv")]


async def test_a_look_that_nobody_waits_for_stops(root: Path) -> None:
    """Cancelling a look ends the work in its thread before it is done, and the next look is right."""
    write(root / "a.csv")
    begun, go_on, calls = threading.Event(), threading.Event(), 0

    def monotonic() -> float:
        nonlocal calls
        calls += 1
        begun.set()
        go_on.wait(10)
        return float(calls)

    source = FilesystemSource(source_id="landing", path=os.fspath(root), watch=FilesystemWatch())
    detector, keeper = FilesystemDetector(source, monotonic=monotonic), Keeper()
    looking = asyncio.create_task(keeper.look(detector))
    await asyncio.to_thread(begun.wait, 10)
    looking.cancel()
    await asyncio.wait([looking])
    go_on.set()
    await keeper.look(detector)
    assert looking.cancelled()
    assert calls == 1 + 2, "the first look asked for the time once more, at the end of its scan"
    assert [*keeper.entries] == ["a.csv"]
    await detector.close()


async def test_where_events_do_not_come_the_interval_counts(root: Path) -> None:
    """Without kernel events a `notify` source asks to be looked at after `interval`; with `polling` that is the loop's own."""
    async with watched(root, method="notify", interval=timedelta(seconds=7)) as folder:
        assert folder.answer.look_again == 7
    async with watched(root, method="polling") as folder:
        assert folder.answer.look_again is None


def test_describe_says_why(root: Path) -> None:
    """How changes are found is said in words."""
    detector: FilesystemDetector = make_detector(root, method="polling")
    assert detector.describe() == "polling: as configured"


def test_an_object_store_is_refused_in_words() -> None:
    """An address is no folder, and this version looks into folders only."""
    source = FilesystemSource(source_id="lake", path="s3://lake/events", watch=FilesystemWatch(method="polling"))
    with pytest.raises(ConfigError, match="object stores") as caught:
        detectors.make_detector(source, detectors.Context())
    assert caught.value.code == "not-available"
