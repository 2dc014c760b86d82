"""Which files of a folder are pipelines, and which `_defaults.yaml` lie above each of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from watcher.pipeline.problems import Problem

DEFAULTS_FILE: Final = "_defaults.yaml"
_ENDINGS: Final = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Listing:
    """The pipeline files below a folder in a fixed order, and what could not be listed."""

    paths: tuple[Path, ...]
    problems: tuple[Problem, ...] = ()


def list_files(folder: Path) -> Listing:
    """Every `*.yaml` and `*.yml` below the folder whose name, and whose folders' names, begin with neither `_` nor `.`."""
    if not folder.is_dir():
        return Listing((), (Problem(folder, 1, 1, "unreadable-file", "there is no such folder", "set `pipelines:`"),))
    problems: list[Problem] = []
    paths: list[Path] = []
    for path in sorted(_candidates(folder, problems)):
        if _contained(path, folder):
            paths.append(path)
        else:
            message = "this link leads out of the pipelines folder, or nowhere"
            problems.append(Problem(path, 1, 1, "unreadable-file", message, "put the file itself here"))
    return Listing(tuple(paths), tuple(problems))


def defaults_above(path: Path, root: Path) -> tuple[Path, ...]:
    """The `_defaults.yaml` from `root` down to the file's own folder, farthest first; outside of `root` only its own folder's."""
    below = path.parent.relative_to(root).parts if path.parent.is_relative_to(root) else ()
    start = root if path.parent.is_relative_to(root) else path.parent
    folders = [start, *(start.joinpath(*below[: depth + 1]) for depth in range(len(below)))]
    return tuple(folder / DEFAULTS_FILE for folder in folders if (folder / DEFAULTS_FILE).exists())


def _candidates(folder: Path, problems: list[Problem]) -> Iterator[Path]:
    def failed(error: OSError) -> None:
        where = Path(error.filename or folder)
        problems.append(Problem(where, 1, 1, "unreadable-file", "the folder cannot be read", "look at its rights"))

    for here, folders, names in os.walk(folder, onerror=failed):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        yield from (Path(here, name) for name in names if name.endswith(_ENDINGS) and not name.startswith((".", "_")))


def _contained(path: Path, folder: Path) -> bool:
    try:
        return path.resolve(strict=True).is_relative_to(folder.resolve(strict=True))
    except (OSError, RuntimeError):
        return False
