"""Rows by the user's own code: only code that was put where code belongs, and its rows as any other's."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from running_tasks import Task

from watcher.dags.operators.custom import load_object
from watcher.errors import ConfigError
from watcher.pipeline.model import CustomSource, Ingest
from watcher.pipeline.secrets import Secret

Ask = Callable[[str], list[Any]]
CODE = """
import dlt

def models(stage, token="none"):
    for number in range(3):
        yield {"id": number, "stage": stage, "told": token == "c4n4ry"}

def pages():
    return [[{"id": 1}, {"id": 2}], [{"id": 3}]]

@dlt.resource(name="runs", primary_key="id", write_disposition="merge")
def runs(first=0):
    yield [{"id": first}, {"id": first + 1}]

@dlt.source(name="registry")
def registry():
    return runs(), dlt.resource([{"id": 7}], name="owners")

def wrong():
    return "text"

class Registry:
    @staticmethod
    def rows():
        return [{"id": 9}]
"""


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module `acme_code` in Airflow's folder for plugins."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "acme_code.py").write_text(CODE)
    monkeypatch.setenv("AIRFLOW__CORE__PLUGINS_FOLDER", str(folder))
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    sys.modules.pop("acme_code", None)


def custom(name: str, options: dict[str, Any] | None = None, **ingest: Any) -> CustomSource:
    made = Ingest(resource=f"acme_code:{name}", **ingest)
    return CustomSource(source_id="scoring", detector="acme:Models", options=options or {}, ingest=made)


def test_rows_of_a_generator(acme: Path, warehouse: Ask) -> None:
    """A function that yields rows gets the options, secrets in clear, and a second run replaces what the first one loaded."""
    source = custom("models", {"stage": "production", "token": Secret("c4n4ry")})

    assert Task(source).run() == {"scoring": 3}
    assert Task(source).run() == {"scoring": 3}
    assert warehouse("select id, stage, told from orders.scoring order by id") == [
        (number, "production", True) for number in range(3)
    ]


def test_rows_page_by_page(acme: Path, warehouse: Ask) -> None:
    """Lists of rows are rows; the pipeline names the table."""
    assert Task(custom("pages", table="pages")).run() == {"pages": 3}


def test_a_dlt_resource_keeps_its_hints(acme: Path, warehouse: Ask) -> None:
    """What a resource says of table, key and disposition holds, until the pipeline says something else."""
    Task(custom("runs", {"first": 1})).run()
    assert Task(custom("runs", {"first": 2})).run() == {"runs": 2}
    assert warehouse("select id from orders.runs order by id") == [(1,), (2,), (3,)]

    Task(custom("runs", {"first": 8}, write_disposition="replace", table="models")).run()
    assert warehouse("select id from orders.models order by id") == [(8,), (9,)]


def test_all_resources_of_a_dlt_source(acme: Path, warehouse: Ask) -> None:
    """A source brings several tables."""
    assert Task(custom("registry")).run() == {"owners": 1, "runs": 2}


def test_a_dotted_object(acme: Path, warehouse: Ask) -> None:
    """What is inside of a class can be named too."""
    assert Task(custom("Registry.rows")).run() == {"scoring": 1}


@pytest.mark.parametrize(
    ("name", "told"), [("lost", "acme_code:lost is not there"), ("wrong", "answers str; a dlt source")]
)
def test_what_is_no_resource(acme: Path, warehouse: Ask, name: str, told: str) -> None:
    """A missing object, or one that answers something else, is told by its name."""
    with pytest.raises(ConfigError, match=told):
        Task(custom(name)).run()


def test_code_of_nowhere_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of the working directory, or of the standard library, is refused before a line of it runs."""
    (tmp_path / "planted.py").write_text("raise SystemExit('planted')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    near = tmp_path / "dags" / "loader.py"

    for name in ("planted:rows", "subprocess:run"):
        with pytest.raises(ConfigError, match="neither an installed package nor"):
            load_object(name, near)
    with pytest.raises(ConfigError, match="no module nowhere_at_all"):
        load_object("nowhere_at_all:rows", near)


def test_code_that_anybody_may_write_is_not_run(acme: Path) -> None:
    """A file that is writable by all is refused."""
    (acme / "acme_code.py").chmod(0o666)

    with pytest.raises(ConfigError, match="may be written by anybody"):
        load_object("acme_code:pages", acme / "loader.py")


def test_code_beside_the_dag_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of the DAG file holds code too, wherever its bundle lies."""
    (tmp_path / "beside_code.py").write_text("rows = [1]")
    monkeypatch.syspath_prepend(str(tmp_path))

    assert load_object("beside_code:rows", tmp_path / "loader.py") == [1]
