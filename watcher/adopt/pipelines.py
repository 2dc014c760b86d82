"""A folder of DAG files to pipelines, one for each DAG that waits; what is written has passed the loader."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from watcher.adopt.drafts import Draft, draft
from watcher.adopt.found import AirflowSensor, Untranslated
from watcher.adopt.reader import read_dags
from watcher.adopt.writing import render
from watcher.pipeline.load import load_file
from watcher.pipeline.problems import Problem


@dataclass(frozen=True, slots=True)
class Adopted:
    """One pipeline to be written: its text, and for each Airflow sensor the source that replaces it."""

    name: str
    dag_id: str
    text: str
    sources: tuple[tuple[AirflowSensor, Draft], ...]


@dataclass(frozen=True, slots=True)
class Adoption:
    """What a folder of DAGs gave. `files` counts the Python files that were read."""

    pipelines: tuple[Adopted, ...]
    untranslated: tuple[Untranslated, ...]
    files: int


def adopt(folder: Path) -> Adoption:
    """Reads every `*.py` below the folder, runs none of it, and makes the pipelines in memory."""
    paths = sorted(path for path in folder.rglob("*.py") if not _hidden(path.relative_to(folder)))
    sensors: list[AirflowSensor] = []
    failed: list[Untranslated] = []
    for path in paths:
        found, untranslated = read_dags(path, path)
        sensors += found
        failed += untranslated
    made: list[Adopted] = []
    names: set[str] = set()
    for dag_id, waiting in _by_dag(sensors, failed).items():
        name = _free(_name(dag_id), names)
        adopted = _adopt(name, dag_id, waiting, failed)
        if adopted is not None:
            names.add(name)
            made.append(adopted)
    return Adoption(tuple(made), tuple(sorted(failed, key=lambda each: (each.file, each.line))), len(paths))


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") or part == "__pycache__" for part in path.parts)


def _by_dag(sensors: Iterable[AirflowSensor], failed: list[Untranslated]) -> dict[str, list[AirflowSensor]]:
    """The sensors of each DAG; a DAG that stands in two files belongs to the first."""
    dags: dict[str, list[AirflowSensor]] = {}
    for sensor in sensors:
        known = dags.setdefault(sensor.dag_id, [])
        if known and known[0].file != sensor.file:
            why = f"DAG {sensor.dag_id} stands in {known[0].file} too"
            failed.append(Untranslated(sensor.file, sensor.line, f"{sensor.name} {sensor.task_id}", why))
        else:
            known.append(sensor)
    return dags


def _name(dag_id: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", dag_id).lstrip("-")[:200] or "pipeline"


def _free(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free


def _adopt(name: str, dag_id: str, sensors: Sequence[AirflowSensor], failed: list[Untranslated]) -> Adopted | None:
    sources: list[tuple[AirflowSensor, Draft]] = []
    taken: set[str] = set()
    for sensor in sensors:
        made = draft(sensor)
        made = replace(made, source_id=_free(made.source_id, taken))
        judged = _judged(name, dag_id, sensor, made)
        if isinstance(judged, Untranslated):
            failed.append(judged)
        else:
            taken.add(judged.source_id)
            sources.append((sensor, judged))
    if not sources:
        return None
    text = render(name, dag_id, sources)
    if problems := _problems(name, text):
        why = f"the pipeline would not be valid: {problems[0].message}"
        failed.append(Untranslated(sensors[0].file, sensors[0].line, f"DAG {dag_id}", why))
        return None
    return Adopted(name, dag_id, text, tuple(sources))


def _judged(name: str, dag_id: str, sensor: AirflowSensor, made: Draft) -> Draft | Untranslated:
    """The draft as the loader takes it: one that this version cannot watch yet is kept, but not enabled."""
    problems = _problems(name, render(name, dag_id, [(sensor, made)]))
    later = [problem for problem in problems if problem.code == "not-available"]
    if later and len(later) == len(problems):
        made = replace(made, needs=(*made.needs, later[0].message))
        problems = _problems(name, render(name, dag_id, [(sensor, made)]))
    if problems:
        why = f"the source would not be valid: {problems[0].message}"
        return Untranslated(sensor.file, sensor.line, f"{sensor.name} {sensor.task_id}", why)
    return made


def _problems(name: str, text: str) -> list[Problem]:
    """The errors of a text as a pipeline file, found by the very loader that daemon and Airflow use."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        return list(load_file(path, variables={}).errors)
