"""The store as the daemon would find it: there, readable, on which schema, with room left."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from watcher.doctor.finding import Finding, failed, warning
from watcher.errors import CannotStartError, WatcherError
from watcher.store import open_store_readonly, schema_of, sqlite_path

LITTLE_SPACE = 512_000_000


async def look_at_store(url: str, seconds: float) -> Finding:
    """Opens the store for reading only. A SQLite file that is not there yet is made by the first start."""
    try:
        path = sqlite_path(url)
        if path is not None and not path.exists():
            return _to_be_made(path)
        async with asyncio.timeout(seconds), open_store_readonly(url) as store:
            text = f"{_kind(url)} {store.place}, schema {await schema_of(store)} (newest)"
    except TimeoutError:
        return failed("store", CannotStartError(f"no answer within {seconds:g} s"))
    except WatcherError as error:
        return failed("store", error)
    return _with_space(text, path)


def _kind(url: str) -> str:
    if url.startswith("sqlite"):
        return "sqlite"
    user = urlsplit(url).username
    return f"postgres, user {user} at" if user else "postgres"


def _to_be_made(path: Path) -> Finding:
    folder = next(parent for parent in path.parents if parent.exists())
    if not os.access(folder, os.W_OK | os.X_OK):
        message = f"sqlite {path} is not there, and {folder} cannot be written"
        return failed("store", CannotStartError(message, code="store-unreachable"))
    return Finding("store", f"sqlite {path} is not there yet: the first `watcher run` makes it")


def _with_space(text: str, path: Path | None) -> Finding:
    if path is None:
        return Finding("store", text)
    free = shutil.disk_usage(path.parent).free
    if free < LITTLE_SPACE:
        return warning("store", f"{text}, {free / 1e6:.0f} MB free", "make room: a full disk stops all looks")
    return Finding("store", f"{text}, {free / 1e9:.0f} GB free")
