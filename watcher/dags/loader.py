"""Finds the pipelines on Airflow's side: every good file becomes a DAG, every bad one an import error that hides nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from airflow.sdk import DAG, get_parsing_context

from watcher.dags.factory import Origin, build_dag
from watcher.dags.folder import FOLDER, pipelines_folder
from watcher.errors import ConfigError
from watcher.pipeline.files import list_files
from watcher.pipeline.load import Loaded, PipelineFile, load, load_file
from watcher.pipeline.model import Pipeline

ENVIRONMENT, PUBLIC_URL = "WATCHER__ENVIRONMENT", "WATCHER__WEB__PUBLIC_URL"


def build_dags(near: Path) -> dict[str, DAG]:
    """dag_id -> DAG for every valid, enabled pipeline that generates one; `near` is the file that Airflow reads.

    The folder is WATCHER__PIPELINES, else `pipelines` beside or above `near`. Never raises for a bad file, which is left out and
    told by `raise_problems`. A process that runs one task builds that task's DAG only.
    """
    folder = pipelines_folder(near)
    if folder is None:
        return {}
    wanted = get_parsing_context().dag_id
    if wanted is not None:
        only = _only(folder, wanted, near)
        if only is not None:
            return {wanted: only}
    dags = dict(_built(_load(folder), folder, near, []))
    return dags if wanted is None else {name: dag for name, dag in dags.items() if name == wanted}


def raise_problems(near: Path) -> None:
    """Raise one ConfigError that holds every problem of every file as `watcher check` prints it; nothing when all is well."""
    folder = pipelines_folder(near)
    if folder is None:
        raise ConfigError(f"there is no folder with pipelines: set {FOLDER} (is {os.environ.get(FOLDER)!r})")
    loaded = _load(folder)
    told = [problem.render() for problem in loaded.problems if problem.severity == "error"]
    for _ in _built(loaded, folder, near, told):
        pass
    if told:
        raise ConfigError("\n\n".join(["these pipelines have no DAG until their files are mended:", *told]))


def load_pipelines(near: Path) -> tuple[Pipeline, ...]:
    """The valid pipelines that Airflow reads, those without a DAG of ours too; none without a folder."""
    folder = pipelines_folder(near)
    return () if folder is None else tuple(file.pipeline for file in _load(folder).pipelines)


def _load(folder: Path) -> Loaded:
    return load(folder, environment=os.environ.get(ENVIRONMENT) or None, variables=os.environ)


def _built(loaded: Loaded, folder: Path, near: Path, failed: list[str]) -> Iterator[tuple[str, DAG]]:
    """Build what is valid. The boundary where one pipeline's failure, a bug of ours included, must not hide the others."""
    for file in sorted(loaded.pipelines, key=lambda file: file.pipeline.name):
        if not (file.pipeline.enabled and file.pipeline.generated):
            continue
        try:
            dag = build_dag(file.pipeline, _origin(file, folder, near))
        except Exception as error:  # noqa: BLE001 - told by raise_problems, which shows as an import error
            failed.append(f"{file.path}: {type(error).__name__}: {error}")
        else:
            yield dag.dag_id, dag


def _only(folder: Path, dag_id: str, near: Path) -> DAG | None:
    """The DAG of the one file that says `name: dag_id`; None when a look at the texts cannot tell, and all are loaded."""
    line = re.compile(rb"^name:[ \t]*(['\"]?)%s\1[ \t]*(#.*)?\r?$" % re.escape(dag_id).encode(), re.MULTILINE)
    files = [path for path in list_files(folder).paths if line.search(_bytes(path))]
    if len(files) != 1:
        return None
    environment = os.environ.get(ENVIRONMENT) or None
    loaded = load_file(files[0], root=folder, environment=environment, variables=os.environ)
    return dict(_built(loaded, folder, near, [])).get(dag_id)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""  # told by the loader of problems


def _origin(file: PipelineFile, folder: Path, near: Path) -> Origin:
    inside = file.path.absolute().relative_to(folder)
    return Origin(f"{folder.name}/{inside.as_posix()}", near.absolute(), os.environ.get(PUBLIC_URL) or None)
