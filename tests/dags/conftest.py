"""Airflow's own environment for these tests: a home of its own, real pipelines, real databases, no server."""

from __future__ import annotations

import atexit
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

# at the end of the path: `local` is found there, while Airflow and the installed wheel are found before it
sys.path.append(str(Path(__file__).resolve().parents[2]))


def _airflow_is_here() -> bool:
    # the repository's own folder of that name answers too, but has no file; importing the real one would fix its home
    found = find_spec("airflow")
    return found is not None and found.origin is not None


collect_ignore_glob = [] if _airflow_is_here() else ["*"]

if _airflow_is_here():
    HOME = Path(tempfile.mkdtemp(prefix="watcher-airflow-home-"))
    atexit.register(shutil.rmtree, HOME, ignore_errors=True)
    (HOME / "dags").mkdir()
    os.environ.update(
        AIRFLOW_HOME=str(HOME),
        AIRFLOW__CORE__DAGS_FOLDER=str(HOME / "dags"),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__CORE__UNIT_TEST_MODE="False",
        AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{HOME / 'airflow.db'}",
    )
    for _name in [name for name in os.environ if name.startswith(("WATCHER_", "AIRFLOW_CONN_"))]:
        del os.environ[_name]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:  # all of the session: these tests may be collected beside others
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.airflow)


@pytest.fixture
def pipelines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of pipelines that the loader reads."""
    folder = tmp_path / "pipelines"
    folder.mkdir()
    monkeypatch.setenv("WATCHER__PIPELINES", str(folder))
    return folder


@pytest.fixture
def loader() -> Path:
    """The file that Airflow reads."""
    return HOME / "dags" / "watcher_pipelines.py"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sqlite3.Connection]:
    """A SQLite database with a table `orders`, behind the Airflow connection `shop_db`."""
    file = tmp_path / "shop.db"
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", f"sqlite:///{file}")
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("create table orders (id integer primary key, item text, updated_at timestamp)")
        yield connection


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[Any]]:
    """Asks the DuckDB file that ingest writes to."""
    import duckdb

    file = tmp_path / "warehouse" / "watcher.duckdb"
    monkeypatch.setenv("WATCHER_DUCKDB", str(file))

    def ask(query: str) -> list[Any]:
        with duckdb.connect(str(file), read_only=True) as connection:
            return connection.execute(query).fetchall()

    return ask


@pytest.fixture
def dbt_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warehouse: object) -> Path:
    """The test's own copy of a dbt project, found as in production, and the tables that it builds on."""
    from dbt_tasks import LOADED, PROJECT, write

    folder = tmp_path / "dbt"
    shutil.copytree(PROJECT, folder)
    monkeypatch.setenv("WATCHER_DBT_PROJECT", str(folder))
    write(*LOADED)
    return folder
