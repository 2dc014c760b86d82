"""The dbt project that transformations are part of: its folder, its manifest, and the program that runs it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from watcher.dags.folder import pipelines_folder
from watcher.errors import ConfigError

FOLDER, EXECUTABLE = "WATCHER_DBT_PROJECT", "WATCHER_DBT_EXECUTABLE"


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with a `dbt_project.yml`. `executable` None: the dbt of this environment, in the task's own process."""

    folder: Path
    executable: str | None = None

    @property
    def manifest(self) -> Path | None:
        """`target/manifest.json`, when the project was parsed or built before it came here."""
        path = self.folder / "target" / "manifest.json"
        return path if path.is_file() else None

    def sources(self) -> Mapping[str, Any]:
        """The manifest's sources by their id; none without a manifest. Raises ConfigError when it is not one."""
        if self.manifest is None:
            return {}
        try:
            return dict(json.loads(self.manifest.read_bytes())["sources"])
        except (OSError, ValueError, TypeError, KeyError) as error:
            message = f"{self.manifest} is not a manifest of dbt: make it again with dbt parse, or delete it"
            raise ConfigError(message, code="unreadable-file") from error


def find_project(near: Path) -> Project:
    """The project that WATCHER_DBT_PROJECT names, else the folder `dbt` beside the pipelines; `near` is the DAG's file.

    Raises ConfigError when there is no project, or WATCHER_DBT_EXECUTABLE is no program.
    """
    named, pipelines = os.environ.get(FOLDER), pipelines_folder(near)
    folder = Path(named).expanduser().absolute() if named else pipelines.parent / "dbt" if pipelines else None
    if folder is None or not (folder / "dbt_project.yml").is_file():
        raise ConfigError(f"there is no dbt_project.yml in {folder}: set {FOLDER} to the folder of your dbt project")
    return Project(folder, _executable())


def _executable() -> str | None:
    named = os.environ.get(EXECUTABLE)
    if not named:
        return None
    found = shutil.which(Path(named).expanduser())
    if found is None:
        raise ConfigError(f"{EXECUTABLE} is {named!r}, and there is no such program")
    return str(Path(found).absolute())
