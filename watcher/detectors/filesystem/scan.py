"""One walk over a folder: every wanted regular file with size, time and inode, no link followed, stoppable between entries."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Final, NamedTuple

from watcher.detectors.filesystem.entry import encode, stamp_of
from watcher.detectors.filesystem.patterns import Patterns
from watcher.errors import SourceError

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NONBLOCK
GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
Identity = tuple[int, int]


class StoppedError(Exception):
    """Nobody waits for this work any more."""


@dataclass(frozen=True, slots=True)
class Area:
    """What is scanned: `root` with `patterns`; `marker` is the name that makes a folder complete; `inodes` says if they last."""

    root: str
    patterns: Patterns
    marker: str | None = None
    inodes: bool = True


@dataclass(slots=True)
class Scan:
    """What was there. `files` are stamps by key, the percent-encoded path relative to the root; so are the keys in `waiting`.

    `waiting` are the files that no marker completes yet. `folders` are absolute paths, the root among them. `too_deep` counts
    folders whose path is longer than the system takes.
    """

    root: Identity
    files: dict[str, str] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)
    folders: list[str] = field(default_factory=list)
    too_deep: int = 0


class _Folder(NamedTuple):
    path: str
    identity: Identity
    complete: bool
    depth: int


def scan(area: Area, stop: Event, *, known: bool) -> Scan:
    """Walks the whole area. `known` says that the root has been there before.

    Files and folders that vanish meanwhile are left out. A folder that cannot be read fails the whole scan, because its
    files would look deleted. Raises SourceError: source-schema, source-vanished, source-forbidden, source-unreachable;
    and StoppedError once `stop` is set.
    """
    identity = root_identity(area, known=known)
    found = Scan(identity)
    todo = [_Folder("", identity, area.marker is None, 1)]
    while todo:
        todo.extend(_one_folder(area, todo.pop(), found, stop))
    if root_identity(area, known=True) != identity:  # unmounted meanwhile: what is missing was not deleted
        raise _replaced(area)
    return found


def root_identity(area: Area, *, known: bool) -> Identity:
    """Device and inode of the root. Raises SourceError as `scan` does."""
    with _translated(area.root, known=known):
        status = Path(area.root).stat()
        if not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        return _identity(status, area)


def _replaced(area: Area) -> SourceError:
    return SourceError(f"folder {encode(area.root)} was replaced while we looked", code="source-vanished")


def _identity(status: os.stat_result, area: Area) -> Identity:
    return status.st_dev, status.st_ino if area.inodes else 0


def _one_folder(area: Area, folder: _Folder, found: Scan, stop: Event) -> list[_Folder]:
    """Adds the files of one folder and answers the folders in it."""
    path = f"{area.root}/{folder.path}" if folder.path else area.root
    below: list[_Folder] = []
    files: dict[str, str] = {}
    complete = folder.complete
    try:
        with _translated(path), _opened(path, area, folder) as entries:
            for entry in entries:
                if stop.is_set():
                    raise StoppedError
                if entry.name == area.marker:
                    complete = complete or entry.is_file(follow_symlinks=False)
                    continue
                _one_entry(area, folder, entry, files, below)
    except _VanishedError:
        return []
    except _TooDeepError:
        found.too_deep += 1
        return []
    found.folders.append(path)
    found.files.update(files)
    if not complete:
        found.waiting.update(files)
    return [one._replace(complete=complete) for one in below]


def _one_entry(
    area: Area, folder: _Folder, entry: os.DirEntry[str], files: dict[str, str], below: list[_Folder]
) -> None:
    path = f"{folder.path}/{entry.name}" if folder.path else entry.name
    try:
        is_folder, is_file = entry.is_dir(follow_symlinks=False), entry.is_file(follow_symlinks=False)
        if not (is_folder or is_file) or area.patterns.ignores(path, entry.name):
            return
        if is_folder:
            if area.patterns.depth is None or folder.depth < area.patterns.depth:
                status = entry.stat(follow_symlinks=False)
                below.append(_Folder(path, _identity(status, area), False, folder.depth + 1))
        elif area.patterns.wants(path):
            files[encode(path)] = stamp_of(entry.stat(follow_symlinks=False), inodes=area.inodes)
    except FileNotFoundError:
        return  # gone between the listing and the look at it


class _VanishedError(Exception):
    pass


class _TooDeepError(Exception):
    pass


@contextmanager
def _opened(path: str, area: Area, folder: _Folder) -> Iterator[Iterator[os.DirEntry[str]]]:
    """The entries of a folder, read through a descriptor that was checked to be the folder seen in its parent.

    A path alone could be led out of the root by whoever swaps a folder above it for a link in this moment.
    """
    inside = bool(folder.path)
    try:
        handle = os.open(path, _FOLDER | (os.O_NOFOLLOW if inside else 0))
        try:
            if _identity(os.fstat(handle), area) != folder.identity:
                raise _VanishedError if inside else _replaced(area)
            with os.scandir(handle) as entries:
                yield entries
        finally:
            os.close(handle)
    except OSError as error:  # also while it is read: some file systems end a deleted folder with an error
        if inside and error.errno in GONE:
            raise _VanishedError from error
        if inside and error.errno == errno.ENAMETOOLONG:
            raise _TooDeepError from error
        raise


@contextmanager
def _translated(path: str, *, known: bool = True) -> Iterator[None]:
    """The one door for errors of the operating system."""
    name = encode(path)
    try:
        yield
    except FileNotFoundError as error:
        if known:
            raise SourceError(f"folder {name} was there and is gone: is it mounted?", code="source-vanished") from error
        raise SourceError(f"folder {name} does not exist", code="source-schema") from error
    except NotADirectoryError as error:
        raise SourceError(f"{name} is not a folder", code="source-schema") from error
    except PermissionError as error:
        raise SourceError(f"folder {name} cannot be read: permission denied", code="source-forbidden") from error
    except OSError as error:
        raise SourceError(f"folder {name} cannot be read: {error.strerror}", code="source-unreachable") from error
