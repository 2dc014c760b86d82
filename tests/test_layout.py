"""The walls that no tool but Airflow's own parser would notice: what lies where, and who may import whom."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOADERS = sorted((ROOT / "airflow" / "dags").glob("*.py"))
ON_AIRFLOWS_SIDE = ("airflow", "watcher.dags", "watcher.pipeline", "watcher.detection", "watcher.errors")


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, inside of functions too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


def test_airflow_folder_is_no_package() -> None:
    """No `__init__.py` below airflow/: one would hide the real package from whoever starts in the repository."""
    assert list((ROOT / "airflow").rglob("__init__.py")) == []


def test_loaders_are_there() -> None:
    """One loader makes the DAGs, another shows the problems, so that a bad file makes no DAG untriggerable; two more stand alone."""
    names = ["example_reads_batch.py", "watcher_health.py", "watcher_pipelines.py", "watcher_problems.py"]
    assert [path.name for path in LOADERS] == names


@pytest.mark.parametrize("path", LOADERS, ids=lambda path: path.name)
def test_loaders_are_thin(path: Path) -> None:
    """A loader imports pathlib and watcher.dags only, and holds the two words without which Airflow skips it in silence."""
    content = path.read_bytes().lower()

    assert set(imports(path)) == {"pathlib", "watcher.dags"}
    assert b"airflow" in content
    assert b"dag" in content
    assert len(content.splitlines()) <= 15


def test_airflows_side_knows_nothing_of_the_daemon() -> None:
    """watcher.dags imports, of our own, itself and the shared ground only."""
    for path in (ROOT / "watcher" / "dags").rglob("*.py"):
        own = {name for name in imports(path) if name.split(".")[0] == "watcher"}
        assert all(name.startswith(ON_AIRFLOWS_SIDE) for name in own), f"{path}: {own}"


def test_nobody_else_imports_airflow() -> None:
    """Outside of watcher.dags nothing of the package imports Airflow or that package."""
    for path in (ROOT / "watcher").rglob("*.py"):
        if path.is_relative_to(ROOT / "watcher" / "dags"):
            continue
        foreign = {name for name in imports(path) if name.split(".")[0] == "airflow" or name.startswith("watcher.dags")}
        assert foreign == set(), path


def test_no_python_is_made_from_text() -> None:
    """Nothing of the package evaluates, executes or compiles text, so no file and no source can become a program."""
    for path in (ROOT / "watcher").rglob("*.py"):
        calls = (node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call))
        names = {call.id for call in calls if isinstance(call, ast.Name)}
        assert names.isdisjoint({"eval", "exec", "compile", "__import__"}), path


def test_the_shared_ground_is_light() -> None:
    """What Airflow's parser imports with a DAG file needs no library of the daemon."""
    program = "import sys, watcher.pipeline.load, watcher.pipeline.graph, watcher.pipeline.run; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    loaded = {name.partition(".")[0] for name in modules.split()}

    assert loaded.isdisjoint({"airflow", "airflow_client", "aiohttp", "sqlalchemy", "structlog", "watchfiles"})
    assert "prometheus_client" not in loaded
