"""The dbt project is found where people expect it, or the message says where it was looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from watcher.dags.operators.dbt_project import Project, find_project
from watcher.errors import ConfigError

LOADER = Path("airflow") / "dags" / "watcher_pipelines.py"


def project(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "dbt_project.yml").write_text("name: shop\n")
    return folder


def test_beside_the_pipelines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the folder `dbt` beside `pipelines`, whether that is named by the environment or found above the DAG's file."""
    (tmp_path / "pipelines").mkdir()
    folder = project(tmp_path / "dbt")

    assert find_project(tmp_path / LOADER) == Project(folder)
    monkeypatch.setenv("WATCHER__PIPELINES", str(tmp_path / "pipelines"))
    assert find_project(Path("/elsewhere/dags/loader.py")) == Project(folder)


def test_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """WATCHER_DBT_PROJECT goes before all."""
    monkeypatch.setenv("WATCHER_DBT_PROJECT", str(project(tmp_path / "mine")))

    assert find_project(tmp_path / LOADER).folder == tmp_path / "mine"


def test_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a project the message names the place and the variable."""
    monkeypatch.setenv("WATCHER__PIPELINES", str(tmp_path))
    with pytest.raises(ConfigError, match=r"no dbt_project.yml in .*/dbt: set WATCHER_DBT_PROJECT"):
        find_project(tmp_path / LOADER)


def test_executable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A separate dbt must be a program; a path may have blanks."""
    monkeypatch.setenv("WATCHER_DBT_PROJECT", str(project(tmp_path / "dbt")))
    program = tmp_path / "their dbt"
    monkeypatch.setenv("WATCHER_DBT_EXECUTABLE", str(program))
    with pytest.raises(ConfigError, match=r"WATCHER_DBT_EXECUTABLE is .*their dbt"):
        find_project(tmp_path / LOADER)

    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert find_project(tmp_path / LOADER).executable == str(program)


def test_manifest(tmp_path: Path) -> None:
    """The manifest's sources are read when there is one; none is no error, a torn one is."""
    found = Project(project(tmp_path / "dbt"))
    assert (found.manifest, found.sources()) == (None, {})

    path = found.folder / "target" / "manifest.json"
    path.parent.mkdir()
    path.write_text('{"sources": {"source.shop.raw.t": {"name": "t"}}}')
    assert (found.manifest, found.sources()) == (path, {"source.shop.raw.t": {"name": "t"}})
    path.write_text('{"sources": {"so')
    with pytest.raises(ConfigError, match="not a manifest of dbt"):
        found.sources()
