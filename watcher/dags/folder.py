"""Where the pipelines are on Airflow's side, and how a file of that folder is read."""

from __future__ import annotations

import os
from pathlib import Path

from watcher.errors import ConfigError

FOLDER = "WATCHER__PIPELINES"
LARGEST = 1024 * 1024
"""Bytes of the largest file that a task reads from the folder."""


def pipelines_folder(near: Path) -> Path | None:
    """The folder that daemon and Airflow share; None when there is none."""
    named = os.environ.get(FOLDER)
    places = [Path(named)] if named else [parent / "pipelines" for parent in list(near.absolute().parents)[2::-1]]
    return next((place.absolute() for place in places if place.is_dir()), None)


def text_of(near: Path, name: str) -> str:
    """The text of the file `name` of the pipelines folder; `near` is the file that Airflow reads.

    Raises ConfigError `unreadable-file` for a file that is missing, no regular one, too large, or not really inside.
    """
    folder = pipelines_folder(near)
    if folder is None:
        raise ConfigError(f"there is no folder with pipelines: set {FOLDER} (is {os.environ.get(FOLDER)!r})")
    root = folder.resolve()
    path = (root / name).resolve()
    if not path.is_relative_to(root):
        raise ConfigError(f"{name} is not inside of the pipelines folder", code="unreadable-file")
    if not path.is_file() or path.stat().st_size > LARGEST:
        raise ConfigError(f"{name} is no file of at most 1 MiB in the pipelines folder", code="unreadable-file")
    try:
        return path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{name} cannot be read as UTF-8 text", code="unreadable-file") from error
