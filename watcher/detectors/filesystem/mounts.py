"""Which file system a folder lies on, and so whether the kernel tells of every write to it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_MOUNTS: Final = Path("/proc/self/mountinfo")
_OCTAL: Final = re.compile(rb"\\([0-7]{3})")

_REMOTE: Final = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smb2",
        "smbfs",
        "ncpfs",
        "afs",
        "ceph",
        "lustre",
        "gpfs",
        "beegfs",
        "ocfs2",
        "gfs2",
        "glusterfs",
        "orangefs",
        "coda",
        "davfs",
        "davfs2",
        "sshfs",
    }
)
_GUEST: Final = frozenset({"9p", "virtiofs", "vboxsf", "prl_fs", "vmhgfs", "drvfs"})
_LOOSE_INODES: Final = frozenset(
    {"cifs", "smb3", "smb2", "smbfs", "9p", "vboxsf", "prl_fs", "vmhgfs", "drvfs", "davfs", "davfs2", "sshfs"}
)


@dataclass(frozen=True, slots=True)
class FileSystem:
    """The type of a file system as the kernel names it, "" where it does not say."""

    kind: str

    @property
    def tells_all(self) -> bool:
        """Whether kernel events come for every write. Not so where others write too: network, guest and user-space systems.

        An overlay tells of what is written through it, which is all that a container does with it, so it counts as telling.
        """
        return self.kind not in _REMOTE | _GUEST and not self._user_space

    @property
    def lasting_inodes(self) -> bool:
        """Whether a file keeps its inode number; where it may not, the number says nothing about a replaced file."""
        return self.kind not in _LOOSE_INODES and not self._user_space

    @property
    def _user_space(self) -> bool:
        return self.kind in {"fuse", "fuseblk"} or self.kind.startswith("fuse.")


def file_system_of(folder: str, mounts: Path = _MOUNTS) -> FileSystem:
    """The file system of `folder`, links resolved. Blocks: ask in a thread. Without a list of mounts the kind is ""."""
    try:
        lines = mounts.read_bytes().splitlines()
    except OSError:  # not Linux
        return FileSystem("")
    return FileSystem(_kind(os.fsencode(os.path.realpath(folder)), lines))


def _kind(path: bytes, lines: Iterable[bytes]) -> str:
    best, kind = -1, ""
    for line in lines:
        fields, _, rest = line.partition(b" - ")
        parts = fields.split(b" ")
        if len(parts) < 5:
            continue
        point = _OCTAL.sub(lambda match: bytes([int(match[1], 8) & 0xFF]), parts[4])
        # of several mounts on one place the last one is on top
        if len(point) >= best and _under(path, point):
            best, kind = len(point), rest.split(b" ")[0].decode("ascii", "replace")
    return kind


def _under(path: bytes, point: bytes) -> bool:
    return point in {b"/", path} or path.startswith(point + b"/")
