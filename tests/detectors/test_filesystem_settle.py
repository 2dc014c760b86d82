"""When a file counts: after it has rested, after so many equal looks, after its marker."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from tests.detectors.filesystem_folder import ALL, NOW, make_detector, watched, write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "landing"
    folder.mkdir()
    return folder


async def test_a_slow_writer_counts_once_after_the_end(root: Path) -> None:
    """A file that is written piece by piece counts once, when it has rested for `settle`."""
    async with watched(root, settle=5) as folder:
        with (root / "slow.csv").open("wb", buffering=0) as file:
            for _ in range(10):
                file.write(b"x")
                assert await folder.look() == []
                assert folder.answer.look_again == 5
                folder.clock.seconds += 3
        folder.clock.seconds += 1
        assert await folder.look() == []
        assert folder.answer.look_again == 1
        assert "less than 5 s" in folder.answer.note
        folder.clock.seconds += 1
        assert await folder.look() == [("insert", "slow.csv")]
        assert folder.answer.bytes == 10
        assert await folder.look() == []
        assert folder.keeper.changes == 1


async def test_a_known_file_settles_again(root: Path) -> None:
    """An update settles as an insert does, and a file that is gone before never counted."""
    file = write(root / "a.csv")
    async with watched(root, settle=5, operations=ALL) as folder:
        write(file, "more")
        ghost = write(root / "ghost.csv")
        assert await folder.look() == []
        ghost.unlink()
        folder.clock.seconds += 5
        assert await folder.look() == [("update", "a.csv")]


async def test_a_restart_settles_from_the_start(root: Path) -> None:
    """Candidates live in memory: a new instance waits the whole time again and then counts them."""
    async with watched(root, settle=5) as folder:
        write(root / "a.csv")
        await folder.look()
        folder.clock.seconds += 4
        folder.detector = make_detector(root, folder.clock, settle=5)
        assert await folder.look() == []
        folder.clock.seconds += 4
        assert await folder.look() == []
        folder.clock.seconds += 1
        assert await folder.look() == [("insert", "a.csv")]
        await folder.detector.close()


async def test_confirm_wants_so_many_equal_looks(root: Path) -> None:
    """With `confirm: 3` a file counts in the third look that shows it unchanged."""
    async with watched(root, confirm=3) as folder:
        write(root / "a.csv")
        assert await folder.look() == []
        assert await folder.look() == []
        assert folder.answer.look_again == 1
        assert await folder.look() == [("insert", "a.csv")]


async def test_the_times_are_those_of_seeing(root: Path) -> None:
    """A change's time is when the file was first seen as it counted, whatever time the file itself bears."""
    async with watched(root, settle=5) as folder:
        os.utime(write(root / "a.csv"), (1_000_000_000, 1_000_000_000))
        await folder.look()
        folder.clock.seconds += 2
        write(root / "b.csv")
        await folder.look()
        folder.clock.seconds += 6
        assert len(await folder.look()) == 2
        assert folder.answer.first_change_at == NOW
        assert folder.answer.last_change_at == NOW + timedelta(seconds=2)


async def test_a_marker_completes_its_folder_and_all_below(root: Path) -> None:
    """Files count once their folder, or one above it, holds the marker; the marker itself never does."""
    async with watched(root, done_marker="_SUCCESS") as folder:
        for name in ("mon/a.csv", "tue/b.csv", "tue/part=1/c.csv"):
            write(root / name)
        assert await folder.look() == []
        assert folder.answer.note == "3 files wait for _SUCCESS"
        write(root / "tue" / "_SUCCESS", "")
        assert await folder.look() == [("insert", "tue/b.csv"), ("insert", "tue/part%3D1/c.csv")]
        write(root / "mon" / "_SUCCESS", "")
        assert await folder.look() == [("insert", "mon/a.csv")]
        write(root / "mon" / "_SUCCESS", "again")
        assert await folder.look() == []


async def test_a_hidden_marker_works_although_it_is_ignored(root: Path) -> None:
    """`.done` is a marker too, with the default `ignore`."""
    async with watched(root, done_marker=".done") as folder:
        write(root / "a.csv")
        write(root / ".done")
        assert await folder.look() == [("insert", "a.csv")]


async def test_marker_and_settle_are_both_needed(root: Path) -> None:
    """With both, a file counts when the marker is there and the file has rested."""
    async with watched(root, done_marker="_SUCCESS", settle=5) as folder:
        write(root / "a.csv")
        write(root / "_SUCCESS")
        assert await folder.look() == []
        (root / "_SUCCESS").unlink()
        folder.clock.seconds += 5
        assert await folder.look() == []
        write(root / "_SUCCESS")
        assert await folder.look() == [("insert", "a.csv")]


async def test_what_waits_for_its_marker_at_the_first_look_counts_later(root: Path) -> None:
    """An upload that is under way when we start is not taken for the past."""
    write(root / "old" / "a.csv")
    write(root / "old" / "_SUCCESS")
    write(root / "new" / "b.csv")
    async with watched(root, done_marker="_SUCCESS") as folder:
        write(root / "new" / "_SUCCESS")
        assert await folder.look() == [("insert", "new/b.csv")]


async def test_from_the_beginning_settles_too(root: Path) -> None:
    """With start_from beginning what is there counts, once it has rested."""
    write(root / "a.csv")
    async with watched(root, settle=5, start_from="beginning") as folder:
        assert folder.keeper.changes == 0
        folder.clock.seconds += 5
        assert await folder.look() == [("insert", "a.csv")]
