"""One load: rows arrive or nothing does, and nothing else stays behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from airflow.sdk.exceptions import AirflowException

from watcher.dags.operators.destination import DuckDb
from watcher.dags.operators.loading import load, prepare_dlt, working_name
from watcher.errors import SourceError

prepare_dlt()


@pytest.fixture
def own_temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's working folders are made."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)  # root's place for dlt's own files is not the home
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def rows_of(*items: Any, error: Exception | None = None) -> Callable[[], list[Any]]:
    import dlt

    def rows() -> Iterator[Any]:
        yield from items
        if error is not None:
            raise error

    return lambda: [dlt.resource(rows, name="things")]


def test_nothing_stays_behind(tmp_path: Path, own_temp: Path) -> None:
    """A load leaves rows in the destination and no file in the temporary folder or the home."""
    before = sorted(path.name for path in tmp_path.iterdir())

    counts = load(rows_of({"id": 1}, {"id": 2}), DuckDb(tmp_path / "w" / "w.duckdb"), "a__b", "data")

    assert counts == {"things": 2}
    assert list(own_temp.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, "w"])


def test_reader_error_comes_through(tmp_path: Path, own_temp: Path) -> None:
    """What a reader raises in the middle is what the task fails with, and no row of that load arrives."""
    error = SourceError("the file is torn", code="source-answer")

    with pytest.raises(SourceError, match="the file is torn"):
        load(rows_of({"id": 1}, error=error), DuckDb(tmp_path / "w.duckdb"), "a__b", "data")

    assert list(own_temp.iterdir()) == []
    assert load(rows_of({"id": 1}), DuckDb(tmp_path / "w.duckdb"), "a__b", "data") == {"things": 1}


def test_foreign_error_is_told_by_its_step(tmp_path: Path, own_temp: Path) -> None:
    """Anything else is named by its step, without the text of the library, which may quote rows."""
    with pytest.raises(AirflowException, match="a__b: the extract step failed") as caught:
        load(rows_of(error=RuntimeError("row hunter2")), DuckDb(tmp_path / "w.duckdb"), "a__b", "data")

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(("dag_id", "source_id"), [("a-b", "c"), ("a.b", "c"), ("A_b", "c"), ("x" * 200, "y" * 200)])
def test_working_names_differ(dag_id: str, source_id: str) -> None:
    """Names that look alike once they are made plain still get working names of their own, short enough for dlt."""
    name = working_name(dag_id, source_id)

    assert name != working_name("a_b", "c")
    assert len(name) <= 60
    assert name.replace("_", "a").isalnum()


def test_processes_share_one_file(tmp_path: Path) -> None:
    """Tasks in several processes load into one DuckDB file at the same time, each waiting for its turn and none failing."""
    program = (
        "import sys; from pathlib import Path\n"
        "from watcher.dags.operators.destination import DuckDb\n"
        "from watcher.dags.operators.loading import load, prepare_dlt\n"
        "prepare_dlt(); import dlt\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "for n in range(4):\n"
        "    rows = lambda: [dlt.resource([{'id': n}], name=sys.argv[2])]\n"
        "    load(rows, DuckDb(Path(sys.argv[1])), sys.argv[2], 'data')\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "w.duckdb")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    tasks = [subprocess.Popen([*command, name], **pipes) for name in ("one", "two", "two")]  # type: ignore[call-overload]
    for task in tasks:
        assert task.stdout.readline() == "ready\n"
    for task in tasks:
        task.stdin.write("\n")
        task.stdin.flush()
    ends = [(task.communicate(timeout=100)[1], task.returncode) for task in tasks]

    assert [code for _, code in ends] == [0, 0, 0], ends
    with duckdb.connect(str(tmp_path / "w.duckdb"), read_only=True) as connection:
        counts = connection.execute(
            "select (select count(*) from data.one), (select count(*) from data.two)"
        ).fetchall()
    assert counts == [(4, 8)]
