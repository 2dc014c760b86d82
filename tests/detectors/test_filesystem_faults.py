"""What a look at a folder does when the folder is gone, closed, replaced or on a volume that is not mounted."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.detectors.conformance import Keeper
from tests.detectors.filesystem_folder import ALL, StandingClock, Watched, make_detector, watched, write
from watcher.errors import SourceError

NOBODY = 65534


@contextmanager
def without_rights() -> Iterator[None]:
    """Closed folders are closed to root as well in here: the whole process is nobody."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_root() -> Iterator[Path]:
    """A folder that nobody can reach, unlike pytest's own, which only its owner can."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        if os.geteuid() == 0:
            os.chown(root, NOBODY, NOBODY)
        root.chmod(0o755)
        yield root


def other_device(keeper: Keeper) -> None:
    """As if the root had lain on another device at the last look."""
    assert keeper.cursor is not None
    root = keeper.cursor["root"]
    assert isinstance(root, list)
    keeper.cursor = {**keeper.cursor, "root": [-1, root[1]]}


async def code_of(folder: Watched) -> str:
    before = dict(folder.keeper.cursor or {})
    with pytest.raises(SourceError) as caught:
        await folder.look()
    assert dict(folder.keeper.cursor or {}) == before
    assert str(folder.root) in str(caught.value)
    return caught.value.code


async def test_a_missing_root_is_named_at_the_first_look(tmp_path: Path) -> None:
    """A folder that was never there is a mistake in the pipeline file; once it is made, all is well."""
    folder = Watched(tmp_path / "no", make_detector(tmp_path / "no"), StandingClock())
    assert await code_of(folder) == "source-schema"
    (tmp_path / "no").mkdir()
    assert await folder.look() == []
    await folder.detector.close()


async def test_a_file_in_the_place_of_the_root(tmp_path: Path) -> None:
    """A root that is no folder is said to be none."""
    folder = Watched(write(tmp_path / "file"), make_detector(tmp_path / "file"), StandingClock())
    assert await code_of(folder) == "source-schema"
    await folder.detector.close()


async def test_a_root_that_is_gone_has_vanished(tmp_path: Path) -> None:
    """A root that was there and is not records nothing, and heals when it is back."""
    write(tmp_path / "root" / "a.csv")
    async with watched(tmp_path / "root", operations=ALL) as folder:
        (tmp_path / "root").rename(tmp_path / "away")
        assert await code_of(folder) == "source-vanished"
        (tmp_path / "away").rename(tmp_path / "root")
        assert await folder.look() == []


async def test_a_root_made_anew_is_compared(tmp_path: Path) -> None:
    """A root deleted and made again on the same device is held against the inventory as any other."""
    write(tmp_path / "root" / "a.csv")
    write(tmp_path / "root" / "b.csv")
    async with watched(tmp_path / "root", operations=ALL) as folder:
        shutil.rmtree(tmp_path / "root")
        assert await code_of(folder) == "source-vanished"
        write(tmp_path / "root" / "b.csv", "other")
        write(tmp_path / "root" / "c.csv")
        assert await folder.look() == [("delete", "a.csv"), ("update", "b.csv"), ("insert", "c.csv")]


async def test_many_files_gone_on_another_device_have_vanished(tmp_path: Path) -> None:
    """More than half and over 20 gone while the device differs: the volume is not mounted, nothing was deleted."""
    for n in range(40):
        write(tmp_path / f"f{n}")
    async with watched(tmp_path, operations=ALL) as folder:
        for n in range(21):
            (tmp_path / f"f{n}").unlink()
        other_device(folder.keeper)
        assert await code_of(folder) == "source-vanished"
        write(tmp_path / "f0")
        assert len(await folder.look()) == 21


@pytest.mark.parametrize(("files", "gone"), [(50, 22), (30, 20)])
async def test_some_files_gone_on_another_device_were_deleted(tmp_path: Path, files: int, gone: int) -> None:
    """Less than half gone, or no more than 20, is no sign of a volume that is not mounted."""
    for n in range(files):
        write(tmp_path / f"f{n}")
    async with watched(tmp_path, operations=ALL) as folder:
        for n in range(gone):
            (tmp_path / f"f{n}").unlink()
        other_device(folder.keeper)
        assert len(await folder.look()) == gone


async def test_an_empty_folder_on_another_device_has_vanished(tmp_path: Path) -> None:
    """A mount point without its volume is empty; few files are protected as many are."""
    file = write(tmp_path / "a.csv")
    async with watched(tmp_path, operations=ALL) as folder:
        file.unlink()
        other_device(folder.keeper)
        assert await code_of(folder) == "source-vanished"
        write(file)
        assert await folder.look() == [("update", "a.csv")]


async def test_a_new_device_number_alone_means_nothing(tmp_path: Path) -> None:
    """Devices are numbered anew at each start of a machine: with the files in place only the cursor notes it."""
    write(tmp_path / "a.csv")
    async with watched(tmp_path, operations=ALL) as folder:
        other_device(folder.keeper)
        assert await folder.look() == []
        assert await folder.look() == []


async def test_all_deleted_on_the_same_device_is_all_deleted(tmp_path: Path) -> None:
    """A landing folder that is cleared by its consumer is no fault."""
    for n in range(40):
        write(tmp_path / f"f{n}")
    async with watched(tmp_path, operations=ALL) as folder:
        for n in range(40):
            (tmp_path / f"f{n}").unlink()
        assert len(await folder.look()) == 40


@pytest.mark.parametrize("closed", ["", "sub", "sub/deep"])
async def test_a_closed_folder_fails_the_look_by_name(open_root: Path, closed: str) -> None:
    """A folder we may not read is named, and its files are not taken for deleted."""
    write(open_root / "sub" / "deep" / "a.csv")
    async with watched(open_root, operations=ALL) as folder:
        (open_root / closed).chmod(0)
        with without_rights(), pytest.raises(SourceError, match=re.escape(os.fspath(open_root / closed))) as caught:
            await folder.look()
        assert caught.value.code == "source-forbidden"
        (open_root / closed).chmod(0o755)
        assert await folder.look() == []


async def test_a_closed_file_matters_only_with_hash(open_root: Path) -> None:
    """Without `hash` a file need not be readable; with it the file is named."""
    async with watched(open_root, hash=True) as hashing, watched(open_root) as plain:
        write(open_root / "a.csv").chmod(0)
        with without_rights():
            assert await plain.look() == [("insert", "a.csv")]
            with pytest.raises(SourceError, match=r"a\.csv") as caught:
                await hashing.look()
        assert caught.value.code == "source-forbidden"


async def test_an_ignored_closed_folder_is_not_entered(open_root: Path) -> None:
    """What is ignored cannot fail a look; neither can what lies deeper than the pattern reaches."""
    (open_root / ".closed").mkdir(mode=0)
    async with watched(open_root) as folder:
        with without_rights():
            assert await folder.look() == []
    (open_root / "deep").mkdir(mode=0)
    async with watched(open_root, pattern="*.csv") as folder:
        with without_rights():
            assert await folder.look() == []


async def test_a_file_that_a_scan_overlooked_is_not_deleted(tmp_path: Path) -> None:
    """A known file missing from the listing but there by its name is looked at again; gone is what is gone twice."""
    write(tmp_path / "sub" / "a.csv")
    async with watched(tmp_path, operations=ALL) as folder:
        # a link in the folder's place hides its files from the scan, not from their names
        (tmp_path / "sub").rename(tmp_path / ".hidden")
        (tmp_path / "sub").symlink_to(".hidden")
        assert await folder.look() == []
        assert folder.answer.look_again == 1
        assert await folder.look() == [("delete", "sub/a.csv")]


async def test_folders_deeper_than_a_path_can_say_are_left_out(tmp_path: Path) -> None:
    """Whoever nests folders beyond the system's longest path cannot stop the look."""
    name, here = "n" * 200, os.open(tmp_path, os.O_RDONLY)
    for _ in range(25):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    async with watched(tmp_path) as folder:
        write(tmp_path / "a.csv")
        assert await folder.look() == [("insert", "a.csv")]
        assert "too deep" in folder.answer.note
