"""Which file systems tell of every write, read from the kernel's list of mounts."""

from __future__ import annotations

from pathlib import Path

import pytest

from watcher.detectors.filesystem.mounts import FileSystem, file_system_of

MOUNTS = rb"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
30 27 0:50 / /mnt/nas rw,relatime shared:1 - nfs4 nas:/x rw
31 27 0:51 / /mnt/with\040blank rw - cifs //srv/x rw
32 27 0:52 / /mnt/twice rw - ext4 /dev/vdb rw
33 32 0:53 / /mnt/twice rw - fuse.sshfs me@there:/ rw
34 27 0:54 / /mnt/over rw - overlay overlay rw
broken line
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/mnt/nas", "nfs4"),
        ("/mnt/nas/deep/er", "nfs4"),
        ("/mnt/nasty", "ext4"),
        ("/mnt/with blank/x", "cifs"),
        ("/mnt/twice/x", "fuse.sshfs"),
        ("/mnt/over", "overlay"),
        ("/", "ext4"),
    ],
)
def test_the_mount_that_holds_a_folder(tmp_path: Path, folder: str, kind: str) -> None:
    """The longest mount point above a folder counts, and of two on one place the upper."""
    mounts = tmp_path / "mountinfo"
    mounts.write_bytes(MOUNTS)
    assert file_system_of(folder, mounts).kind == kind


def test_without_a_list_of_mounts_nothing_is_known(tmp_path: Path) -> None:
    """Elsewhere than on Linux events are trusted, scans find the rest."""
    assert file_system_of("/", tmp_path / "none") == FileSystem("")
    assert FileSystem("").tells_all


@pytest.mark.parametrize(
    ("kind", "tells", "inodes"),
    [
        ("ext4", True, True),
        ("xfs", True, True),
        ("tmpfs", True, True),
        ("overlay", True, True),
        ("nfs4", False, True),
        ("ceph", False, True),
        ("cifs", False, False),
        ("smb3", False, False),
        ("9p", False, False),
        ("fuse", False, False),
        ("fuse.s3fs", False, False),
        ("fuseblk", False, False),
    ],
)
def test_who_tells_and_whose_inodes_last(kind: str, *, tells: bool, inodes: bool) -> None:
    """Where others write the kernel is silent; where numbers are made up they prove nothing."""
    assert (FileSystem(kind).tells_all, FileSystem(kind).lasting_inodes) == (tells, inodes)
