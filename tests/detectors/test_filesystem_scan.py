"""One scan, one comparison, one digest, each with what can happen to the files in the very middle of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from tests.detectors.filesystem_folder import write
from watcher.detectors.filesystem.compare import Times, compare
from watcher.detectors.filesystem.content import Contents
from watcher.detectors.filesystem.entry import digest_of, entry_of, same, size_of, stamp_of
from watcher.detectors.filesystem.patterns import Patterns
from watcher.detectors.filesystem.scan import Area, StoppedError, scan
from watcher.errors import SourceError


def test_a_scan_stops_between_folders(tmp_path: Path) -> None:
    """A scan that nobody waits for ends at once."""
    write(tmp_path / "a.csv")
    stop = Event()
    stop.set()
    with pytest.raises(StoppedError):
        scan(Area(os.fspath(tmp_path), Patterns("**/*", ())), stop, known=False)


class Meanwhile(Event):
    """A stop sign that is never set; the `at`-th time it is asked is the moment in which something happens."""

    def __init__(self, happens: Callable[[], object], at: int = 1) -> None:
        super().__init__()
        self._happens, self._left = happens, at

    def is_set(self) -> bool:
        self._left -= 1
        if self._left == 0:
            self._happens()
        return False


@pytest.mark.parametrize("instead", ["link to itself", "link out", "other folder", "file", "nothing"])
def test_a_folder_swapped_during_the_scan_is_not_entered(tmp_path: Path, instead: str) -> None:
    """What takes the place of a folder between its listing and its opening is not read: nothing leads out of the root."""
    root = tmp_path / "root"
    for name in ("one", "two"):
        write(root / name / "a.csv")
        write(tmp_path / "outside" / name / "secret.csv")

    def swap() -> None:
        for name in ("one", "two"):
            here, outside, away = root / name, tmp_path / "outside" / name, tmp_path / f"away-{name}"
            here.rename(away)
            if instead.startswith("link"):
                here.symlink_to(outside if instead == "link out" else away)
            elif instead == "other folder":
                outside.rename(here)
            elif instead == "file":
                write(here)

    # asked once for each of the two folders, then in the first of them, which is open by now; the second is not yet
    found = scan(Area(os.fspath(root), Patterns("**/*", ())), Meanwhile(swap, at=3), known=True)
    assert len(found.files) == 1
    assert next(iter(found.files)).endswith("/a.csv")


def test_a_folder_deleted_while_it_is_read_is_no_fault(tmp_path: Path) -> None:
    """A folder deleted with all that is in it while we are at its entries leaves nothing, and the scan goes on."""
    root = tmp_path / "root"
    write(root / "sub" / "a.csv")
    found = scan(
        Area(os.fspath(root), Patterns("**/*", ())), Meanwhile(lambda: shutil.rmtree(root / "sub"), at=2), known=True
    )
    assert found.files == {}


def test_a_root_swapped_during_the_scan_fails_it(tmp_path: Path) -> None:
    """A volume that goes while we read it must not look as if its files were deleted."""
    root = tmp_path / "root"
    write(root / "a.csv")

    def unmount() -> None:
        root.rename(tmp_path / "away")
        root.mkdir()

    with pytest.raises(SourceError) as caught:
        scan(Area(os.fspath(root), Patterns("**/*", ())), Meanwhile(unmount), known=True)
    assert caught.value.code == "source-vanished"


def test_a_slow_scan_is_no_time_of_rest(tmp_path: Path) -> None:
    """A file rests from the end of the scan that saw it to the beginning of the next, however long both took."""
    write(tmp_path / "a.csv")
    found = scan(Area(os.fspath(tmp_path), Patterns("**/*", ())), Event(), known=False)
    first = compare(found, {}, {}, Times(begun=0, ended=100, settle=5))
    assert (first.due, first.wait) == ([], 5)
    early = compare(found, {}, first.settling, Times(begun=104, ended=200, settle=5))
    assert early.due == []
    assert early.wait is not None
    assert early.wait < 1
    assert compare(found, {}, early.settling, Times(begun=105, ended=300, settle=5)).due == ["a.csv"]


def test_a_file_written_while_it_is_read_has_no_digest(tmp_path: Path) -> None:
    """A digest of half old and half new content would belong to no state of the file."""
    file = write(tmp_path / "a", b"x" * 3_000_000)
    stamp = stamp_of(file.stat(), inodes=True)
    meanwhile = Meanwhile(lambda: write(file, b"y" * 3_000_001))
    assert Contents().digest(os.fspath(file), stamp, meanwhile) is None


def test_a_digest_belongs_to_one_state_of_a_file(tmp_path: Path) -> None:
    """A file written, replaced or deleted since it was found has no digest, and a stopped reading ends at once."""
    file, stop, contents = write(tmp_path / "a", b"x" * 3_000_000), Event(), Contents()
    stamp, path = stamp_of(file.stat(), inodes=True), os.fspath(file)
    digest = contents.digest(path, stamp, stop)
    assert digest is not None
    assert contents.digest(path, "7" + stamp, stop) is None
    assert contents.digest(os.fspath(tmp_path / "none"), stamp, stop) is None
    stop.set()
    assert contents.digest(path, stamp, stop) == digest
    contents.forget()
    with pytest.raises(StoppedError):
        contents.digest(path, stamp, stop)
    file.unlink()
    file.symlink_to("elsewhere")
    assert contents.digest(path, stamp, Event()) is None


@pytest.mark.parametrize("text", ["", "1", "1:2", "a:b:c", "1:2:x:d", "::"])
def test_a_damaged_entry_counts_once_more(text: str) -> None:
    """An inventory entry we cannot read is like no file: rather once too often than never."""
    assert not same(text, "1:2:3")


def test_an_entry_holds_stamp_and_digest() -> None:
    """The text in the store says all that we ask of it."""
    entry = entry_of("10:-5:18446744073709551615", "ab12")
    assert same(entry, "10:-5:18446744073709551615")
    assert (size_of(entry), digest_of(entry)) == (10, "ab12")
    assert digest_of(entry_of("1:2:3", "")) == ""


def test_an_unknown_inode_says_nothing() -> None:
    """Where a file system gives no lasting inode numbers only size and time are compared."""
    assert same("1:2:0", "1:2:9")
    assert same("1:2:9:digest", "1:2:0")
    assert not same("1:2:8", "1:2:9")
    assert not same("1:3:0", "1:2:0")
