"""What dbt says is told in its own words and no more; what stops a task is not taken for one of dbt's errors."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from watcher.dags.operators.dbt_profile import make_profile
from watcher.dags.operators.dbt_project import Project
from watcher.dags.operators.target import Target

# dbt's and Cosmos' own libraries warn about themselves
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with nothing in it."""
    monkeypatch.setenv("WATCHER_DUCKDB", str(tmp_path / "w.duckdb"))
    folder = tmp_path / "dbt"
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text("name: shop\nversion: '1.0'\n")
    return folder


def run(project: Path, select: str, executable: Path | None = None) -> Any:
    from watcher.dags.operators.dbt_run import Command, DbtRun

    found = Project(project, str(executable) if executable else None)
    dbt = DbtRun(found, make_profile(Target("duckdb", "shop")), logging.getLogger("airflow.task"))
    return dbt.run(Command("transform_x", select), {"run_id": "manual"})  # type: ignore[typeddict-item]


def test_answers(project: Path) -> None:
    """Every model has its status and time, by the name that the project gives it; the project's other models are known."""
    (project / "models" / "a.sql").write_text("select 1 as i")
    (project / "models" / "b.sql").write_text("select i / x as i from {{ ref('a') }}")
    (project / "models" / "c.sql").write_text("select * from {{ ref('b') }}")

    ended = run(project, "b c")

    assert {model.name: (model.status, model.failed) for model in ended.models} == {
        "b": ("error", True),
        "c": ("skipped", False),
    }
    assert ended.known == ("a", "b", "c")
    assert ended.failure is not None
    assert ended.failure.startswith("Runtime Error in model b (models/b.sql)")
    assert all(model.rows is None and model.seconds >= 0 for model in ended.models)


TIMEOUT = """
import signal, sys
from pathlib import Path
sys.path[:0] = [{here!r}]
import test_dbt_run as t

class Timeout(BaseException):  # as Airflow's own: not an Exception, so that no library takes it for an error of its own
    pass

def ring(*_):
    raise Timeout

project, models, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
t.run(project, "quick")  # what is imported for the first time takes no part
for number in range(models):
    (project / "models" / f"m{{number}}.sql").write_text("select 1 as i")
signal.signal(signal.SIGALRM, ring)
signal.setitimer(signal.ITIMER_REAL, seconds)
try:
    t.run(project, "slow")
except (Exception, Timeout) as error:
    print(type(error).__name__, error, flush=True)
"""
SLOW = """{{ config(materialized='table') }}
select count(*) as n from range(1000000000) a, range(1000000) b where hash(a.range, b.range) = 0"""


@pytest.mark.parametrize(
    ("models", "seconds", "told"),
    [
        pytest.param(500, 1, "Timeout", id="parsing"),
        pytest.param(0, 4, "AirflowException transform_x: dbt was broken off", id="querying"),
    ],
)
def test_timeout_of_the_task(project: Path, models: int, seconds: float, told: str) -> None:
    """A task that runs out of time fails as that, whatever dbt was doing, and its process ends in the middle of a query."""
    (project / "models" / "slow.sql").write_text(SLOW)
    (project / "models" / "quick.sql").write_text("select 1 as i")
    program = TIMEOUT.format(here=str(Path(__file__).parent))
    command = [sys.executable, "-c", program, str(project), str(models), str(seconds)]

    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)

    assert any(line.startswith(told) for line in done.stdout.splitlines()), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("output", "told"),
    [
        (
            "12:00:00  Running with dbt=9\n12:00:01  Encountered an error:\n  no profile\n",
            "Encountered an error:\n  no profile",
        ),
        ("Usage: dbt\nError: no such option\n", "Usage: dbt\nError: no such option"),
        ("\n".join(f"line {n}" for n in range(99)), "\n".join(f"line {n}" for n in range(79, 99))),
        ("", "dbt failed without a message"),
    ],
)
def test_last_words_of_a_program(project: Path, tmp_path: Path, output: str, told: str) -> None:
    """A separate dbt that fails before any model does is told by its error, else by the last lines, without the clock."""
    words, program = tmp_path / "words", tmp_path / "dbt.sh"
    words.write_text(output)
    program.write_text(f'#!/bin/sh\ncat "{words}"\nexit 2\n')
    program.chmod(0o755)

    assert run(project, "x", program).failure == told


def test_program_that_succeeds_without_results(project: Path, tmp_path: Path) -> None:
    """A separate dbt that has nothing to do has no failure and no models."""
    program = tmp_path / "dbt.sh"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)

    ended = run(project, "x", program)

    assert (ended.models, ended.failure, ended.known) == ((), None, ())
