"""Digests of what is in files, so that a file whose time moved but whose content did not is no change."""

from __future__ import annotations

import hashlib
import os
import stat
from threading import Event
from typing import Final

from watcher.detectors.filesystem.entry import encode, same, stamp_of
from watcher.detectors.filesystem.scan import GONE, StoppedError
from watcher.errors import SourceError

_CHUNK: Final = 1 << 20


class Contents:
    """Reads files in pieces. Digests are kept until they are dropped, so that a look which was stopped has not read in vain.

    One file that cannot be read within a look's deadline needs a larger `timeout`. Belongs to one thread.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[str, str]] = {}

    def digest(self, path: str, stamp: str, stop: Event) -> str | None:
        """The digest of the file's content while it has exactly this stamp; None when it has changed or gone.

        Raises SourceError source-forbidden or source-unreachable, and StoppedError once `stop` is set.
        """
        kept = self._kept.get(path)
        if kept is not None and kept[0] == stamp:
            return kept[1]
        try:
            digest = _read(path, stamp, stop)
        except OSError as error:
            if error.errno in GONE:
                return None
            code = "source-forbidden" if isinstance(error, PermissionError) else "source-unreachable"
            raise SourceError(f"file {encode(path)} cannot be read: {error.strerror}", code=code) from error
        if digest is not None:
            self._kept[path] = (stamp, digest)
        return digest

    def forget(self) -> None:
        """Drops all digests: a look has ended and its answer holds them."""
        self._kept.clear()


def _read(path: str, stamp: str, stop: Event) -> str | None:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb", buffering=0) as file:
        if not _is(stamp, handle):
            return None
        content = hashlib.blake2b(digest_size=16)
        while piece := file.read(_CHUNK):
            if stop.is_set():
                raise StoppedError
            content.update(piece)
        return content.hexdigest() if _is(stamp, handle) else None


def _is(stamp: str, handle: int) -> bool:
    status = os.fstat(handle)
    return stat.S_ISREG(status.st_mode) and same(stamp, stamp_of(status, inodes=True))
