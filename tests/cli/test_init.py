"""`watcher init`: what it writes is valid, nothing is overwritten, and DAGs are read without being run."""

from __future__ import annotations

import asyncio
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from tests.airflow_api.fake_airflow import FakeAirflow
from watcher.cli.main import app
from watcher.errors import ConfigError

DAGS = Path(__file__).parent.parent / "adopt" / "dags"


def run(*arguments: str | Path, **variables: str) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments], env=variables)


def check(folder: Path, monkeypatch: pytest.MonkeyPatch, *flags: str) -> Result:
    """`watcher check` in a folder, with the variables that its own .env.example names."""
    monkeypatch.chdir(folder)
    return run("check", "--env-file", ".env.example", *flags)


@pytest.mark.parametrize("kind", ["database", "filesystem", "api", "custom"])
def test_a_new_project_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Settings, one pipeline, schema and variables are there, and `check --strict` has nothing to say."""
    done = run("init", tmp_path / "new", "--source", kind)
    assert done.exit_code == 0
    written = [Path(line).relative_to(tmp_path / "new").as_posix() for line in done.stdout.splitlines()]
    assert written[:3] == ["watcher.yaml", "pipeline.schema.json", ".env.example"]
    assert len(list((tmp_path / "new" / "pipelines").iterdir())) == 1
    assert json.loads((tmp_path / "new" / "pipeline.schema.json").read_text())["title"] == "Watcher pipeline"
    checked = check(tmp_path / "new", monkeypatch, "--strict")
    assert (checked.exit_code, checked.stdout) == (0, "")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A file that is there stays as it is and is named; a second run writes nothing."""
    (tmp_path / "watcher.yaml").write_text("mine")
    first = run("init", tmp_path)
    assert f"kept: {tmp_path}/watcher.yaml was there before" in first.stderr
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    second = run("init", tmp_path)
    assert (second.exit_code, second.stdout) == (0, "")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert (tmp_path / "watcher.yaml").read_text() == "mine"


def test_a_link_that_leads_nowhere_is_not_followed(tmp_path: Path) -> None:
    """Nothing is written outside of the folder through a link that somebody left there."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / ".env.example").symlink_to(tmp_path / "elsewhere")
    run("init", tmp_path / "project")
    assert not (tmp_path / "elsewhere").exists()


def test_pipelines_from_dags_are_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Airflow sensor of a folder is in a pipeline that passes `check`, or is told with file, line and reason."""
    monkeypatch.chdir(tmp_path)
    done = run("init", tmp_path / "new", "--from-dags", DAGS)
    assert done.exit_code == 0
    made = sorted(path.name for path in (tmp_path / "new" / "pipelines").iterdir())
    assert made == ["hard.yaml", "landing.yaml", "nightly.yaml"]
    assert f"{DAGS}/landing.py:20 " in done.stdout
    assert "-> pipelines/landing.yaml drop" in done.stdout
    assert "PythonSensor asks" in done.stdout
    assert "4 Airflow sensors translated, 6 to finish, 8 not translated." in done.stderr
    assert check(tmp_path / "new", monkeypatch).exit_code == 0
    assert "AIRFLOW_CONN_SHOP_DB=" in (tmp_path / "new" / ".env.example").read_text()


def test_what_was_finished_by_hand_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run over the same DAGs keeps the pipelines of the first."""
    monkeypatch.chdir(tmp_path)
    run("init", tmp_path / "new", "--from-dags", DAGS)
    path = tmp_path / "new" / "pipelines" / "landing.yaml"
    path.write_text("name: landing\n")
    assert f"kept: {path}" in run("init", tmp_path / "new", "--from-dags", DAGS).stderr
    assert path.read_text() == "name: landing\n"


def test_as_json_it_is_one_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what was found, written, and left."""
    monkeypatch.chdir(tmp_path)
    told = json.loads(run("init", tmp_path / "new", "--from-dags", DAGS, "--json").stdout)
    assert (told["files"], len(told["sensors"]), len(told["untranslated"]), told["hours"]) == (3, 10, 8, [])
    drop = next(each for each in told["sensors"] if each["task_id"] == "wait_for_drop")
    assert (drop["dag_id"], drop["line"], drop["class"], drop["mode"]) == ("landing", 20, "FileSensor", "poke")
    assert (drop["pipeline"], drop["source_id"], drop["ready"]) == ("landing", "drop", True)


async def test_the_hours_are_those_of_the_last_7_and_30_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, airflow: FakeAirflow
) -> None:
    """Worker slots and the triggerer apart; a DAG that Airflow does not know counts for nothing; pages are followed."""
    monkeypatch.chdir(tmp_path)
    now = datetime.now(UTC)
    ages = [timedelta(hours=1)] * 120 + [timedelta(days=20), timedelta(days=40)]
    airflow.dag("landing", times={"wait_for_drop": [(now - age, 1800.0) for age in ages]})
    airflow.dag("nightly", times={"files.wait_orders": [(now - timedelta(days=8), 7200.0)]})
    login = {"WATCHER__AIRFLOW__USERNAME": "watcher", "WATCHER__AIRFLOW__PASSWORD": airflow.password}
    arguments = ("init", tmp_path / "new", "--from-dags", DAGS, "--airflow", airflow.url, "--json")
    done = await asyncio.to_thread(run, *arguments, **login)
    hours = {each["mode"]: each for each in json.loads(done.stdout)["hours"]}
    assert hours["poke"]["hours"] == {"7d": 60.0, "30d": 60.5}
    assert (hours["poke"]["sensors"], hours["poke"]["whole"]) == (2, True)
    assert hours["deferrable"]["hours"] == {"7d": 0.0, "30d": 2.0}
    assert done.exit_code == 0


async def test_hours_are_told_for_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, airflow: FakeAirflow) -> None:
    """One line for each way of waiting."""
    monkeypatch.chdir(tmp_path)
    airflow.dag("landing", times={"wait_for_drop": [(datetime.now(UTC), 3600.0)]})
    login = {"WATCHER__AIRFLOW__USERNAME": "watcher", "WATCHER__AIRFLOW__PASSWORD": airflow.password}
    arguments = ("init", tmp_path / "new", "--from-dags", DAGS, "--airflow", airflow.url)
    told = (await asyncio.to_thread(run, *arguments, **login)).stdout
    assert "poke: 1 sensors, 1.0 h in 7 days, 1.0 h in 30 days (freed): worker slots held while waiting" in told


def test_an_airflow_that_is_away_costs_the_hours_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipelines are written; asked for by name, what was not learned is exit 4."""
    monkeypatch.chdir(tmp_path)
    done = run("init", tmp_path / "new", "--from-dags", DAGS, "--airflow", "http://127.0.0.1:9")
    assert done.exit_code == 4
    assert "The hours were not learned" in done.stderr
    assert (tmp_path / "new" / "pipelines" / "landing.yaml").exists()


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    """And nothing is written."""
    done = run("init", tmp_path / "new", "--from-dags", tmp_path / "nowhere")
    assert isinstance(done.exception, ConfigError)
    assert not (tmp_path / "new").exists()


def test_no_dag_file_is_run_or_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is the same after, byte for byte and without a compiled file; one of its files would end the process."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(DAGS, tmp_path / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    before = {path: path.read_bytes() for path in (tmp_path / "dags").rglob("*") if path.is_file()}
    run("init", tmp_path / "new", "--from-dags", tmp_path / "dags")
    assert {path: path.read_bytes() for path in (tmp_path / "dags").rglob("*") if path.is_file()} == before
