"""The same pipeline written for dag-factory: lines, parse time, and what one broken file among three does, in both."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.airflow_process import ROOT, Case, Place, measure

COMPARE = ROOT / "docs" / "compare"
LOCK = ROOT / "requirements" / "dagfactory.txt"
UV = ROOT / ".tools" / "bin" / "uv"
FOLDER_LOADER = """\
from pathlib import Path

from airflow.sdk import DAG
from dagfactory import load_yaml_dags

load_yaml_dags(globals_dict=globals(), dags_folder=str(Path(__file__).parent))
"""
FILE_LOADER = FOLDER_LOADER.replace("dags_folder=str(Path(__file__).parent)", 'config_filepath=__file__[:-3] + ".yaml"')
NAMES = ("one", "two", "three")
BROKEN = "two"


@dataclass(frozen=True, slots=True)
class Writing:
    """How the pipeline `name` is written, and with which DAG files a folder of it is read."""

    title: str
    template: str
    publish: Callable[[Path, Mapping[str, str]], Mapping[str, str]]
    place: Place


Breaks = Mapping[str, tuple[tuple[str, str], tuple[str, str]]]
BREAKS: Breaks = {
    "not YAML": (("tags: [shop]", "tags: [shop"), ("tags: [shop]", "tags: [shop")),
    "a misspelled key": (("description", "descripton"), ("description", "descripton")),
    "waits for a task that is not there": (
        ("[validate_orders]", "[validate_order]"),
        ("[validate_orders, count_orders]", "[validate_order, count_orders]"),
    ),
    "a cycle": (
        ("dependencies:\n", "dependencies:\n  validate_orders: [transform_daily_orders]\n"),
        ("dependencies: [wait_for_orders]", "dependencies: [transform_daily_orders]"),
    ),
}
"""What is broken -> the words replaced in our file, and those in dag-factory's."""


def report(made: Path, ours: Place, sizes: Sequence[int], rounds: int) -> Iterator[str]:
    """The lines of the comparison."""
    theirs = Place(environment(), made)
    yield ""
    yield from _lines()
    for measured in measure(list(_cases(made, ours, theirs, sizes), rounds)):
        yield measured.line()
    for title, breaks in BREAKS.items():
        for number, writing in enumerate(_writings(ours, theirs)):
            yield from _broken(made, title, breaks[min(number, 1)], writing)


def environment() -> Path:
    """Its interpreter, in an environment that is made from the lock once. Raises CalledProcessError when that fails."""
    folder = ROOT / ".local" / "dagfactory"
    mark, wanted = folder / ".lock", hashlib.sha256(LOCK.read_bytes()).hexdigest()
    python = folder / "bin" / "python"
    if not mark.is_file() or mark.read_text() != wanted:
        base = str(ROOT / ".venv-airflow" / "bin" / "python")
        subprocess.run([UV, "venv", "-q", "--clear", "--no-python-downloads", "-p", base, folder], check=True)
        sync = [UV, "pip", "sync", "-q", "--require-hashes", "--only-binary", ":all:", "-p", python, LOCK]
        subprocess.run(sync, check=True)
        mark.write_text(wanted)
    return python


def _lines() -> Iterator[str]:
    for file in ("watcher.yaml", "dag-factory.yaml", "orders_loading.py"):
        yield f"docs/compare/{file}: {_count((COMPARE / file).read_text('utf-8'))} lines"
    yield f"a DAG file that calls dag-factory: {_count(FOLDER_LOADER)} lines"


def _count(text: str) -> int:
    return sum(1 for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))


def _writings(ours: Place, theirs: Place) -> Iterator[Writing]:
    watcher, factory = ((COMPARE / f"{name}.yaml").read_text("utf-8") for name in ("watcher", "dag-factory"))
    yield Writing("watcher", watcher.replace("name: orders\n", "name: NAME\n", 1), _publish_ours, ours)
    template = factory.replace("orders:\n", "NAME:\n", 1)
    yield Writing("dag-factory, a folder", template, _publish_folder, theirs)
    yield Writing("dag-factory, a DAG file each", template, _publish_each, theirs)


def _publish_ours(folder: Path, texts: Mapping[str, str]) -> Mapping[str, str]:
    for file in ("watcher_pipelines.py", "watcher_problems.py"):
        shutil.copy(ROOT / "airflow" / "dags" / file, folder)
    (folder / "pipelines").mkdir()
    _write(folder / "pipelines", texts)
    return {"WATCHER__PIPELINES": str(folder / "pipelines")}


def _publish_folder(folder: Path, texts: Mapping[str, str]) -> Mapping[str, str]:
    shutil.copy(COMPARE / "orders_loading.py", folder)
    (folder / "load.py").write_text(FOLDER_LOADER, "utf-8")
    _write(folder, texts)
    return {"PYTHONPATH": str(folder), "AIRFLOW__CORE__DAGS_FOLDER": str(folder)}


def _publish_each(folder: Path, texts: Mapping[str, str]) -> Mapping[str, str]:
    environment = _publish_folder(folder, texts)
    (folder / "load.py").unlink()
    for name in texts:
        (folder / f"{name}.py").write_text(FILE_LOADER, "utf-8")
    return environment


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text, "utf-8")


def _cases(made: Path, ours: Place, theirs: Place, sizes: Sequence[int]) -> Iterator[Case]:
    bare = made / "bare.py"
    for title, place in (("watcher", ours), ("dag-factory", theirs)):
        yield Case(f"{title}'s environment, a bare PythonOperator DAG file", place, ["parse", str(bare)], {})
    watcher, factory, _ = _writings(ours, theirs)
    for size in sizes:
        for writing, loader in ((watcher, "watcher_pipelines.py"), (factory, "load.py")):
            folder = _folder(made, f"{writing.title}-{size}")
            texts = {f"p{number:04}": writing.template.replace("NAME", f"p{number:04}") for number in range(size)}
            environment = writing.publish(folder, texts)
            yield Case(f"{writing.title}, {size}", writing.place, ["parse", str(folder / loader)], environment)


def _folder(made: Path, name: str) -> Path:
    folder = made / name.replace(" ", "-").replace(",", "")
    folder.mkdir()
    return folder


def _broken(made: Path, title: str, words: tuple[str, str], writing: Writing) -> Iterator[str]:
    """One of three files is broken: which DAGs are left, and what Airflow shows or only its log tells."""
    folder = _folder(made, f"{title}-{writing.title}")
    texts = {name: writing.template.replace("NAME", name) for name in NAMES}
    if words[0] not in texts[BROKEN]:
        raise ValueError(f"{writing.title} has no {words[0]!r}")
    texts[BROKEN] = texts[BROKEN].replace(*words)
    found = writing.place.run("bag", str(folder), environment=writing.publish(folder, texts))
    yield f"{title} | {writing.title} | DAGs: {', '.join(name for name in NAMES if name in found['dags'])}"
    yield from (f"    {line}" for line in _told(found, folder))


def _told(found: Mapping[str, Any], folder: Path) -> Sequence[str]:
    if found["errors"]:
        return [
            f"import error of {file}: {line}"
            for file, text in found["errors"].items()
            for line in _last_words(text.replace(f"{folder}/", ""))
        ]
    failed = [line for line in found["log"].splitlines() if "Failed to load" in line]
    return ["no import error; in the log only: " + line.split("] ", 1)[-1] for line in failed] or ["told nowhere"]


def _last_words(text: str) -> Sequence[str]:
    """A traceback without its frames: all from the error's own line."""
    lines = [line for line in text.rstrip().splitlines() if line.strip(" ~^")]
    first = max((number for number, line in enumerate(lines) if line.startswith("  File ")), default=-2) + 2
    return lines[first:]
