"""How a file is remembered: its name and its stamp as short ASCII text, which any store keeps and no garbage collector walks.

A stamp is `size:mtime_ns:inode`; an entry of the inventory is a stamp, with `:digest` after it where the content was read.
"""

from __future__ import annotations

import os
from urllib.parse import quote, unquote_to_bytes

_NO_INODE = "0"


def encode(path: str) -> str:
    """Percent-encode a path, any byte of it: what is stored, shown and handed to a run."""
    return quote(os.fsencode(path))


def decode(key: str) -> str:
    """The path again, as the functions of `os` take it."""
    return os.fsdecode(unquote_to_bytes(key))


def stamp_of(status: os.stat_result, *, inodes: bool) -> str:
    """What shows that a file was written or replaced; the inode is 0 where the file system's numbers do not last."""
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ino if inodes else _NO_INODE}"


def size_of(stamp: str) -> int:
    """The size in bytes that a stamp holds."""
    return int(stamp.partition(":")[0])


def entry_of(stamp: str, digest: str) -> str:
    """What the inventory holds of a file; `digest` may be empty."""
    return f"{stamp}:{digest}" if digest else stamp


def digest_of(entry: str) -> str:
    """The digest in an entry, "" where there is none."""
    return entry.partition(":")[2].partition(":")[2].partition(":")[2]


def same(entry: str, stamp: str) -> bool:
    """Whether nothing shows that a file changed. What is no entry is the same as nothing: rather once too often than never."""
    if entry == stamp:
        return True
    known, found = entry.split(":"), stamp.split(":")
    return len(known) > 2 and known[:2] == found[:2] and (known[2] == found[2] or _NO_INODE in {known[2], found[2]})
