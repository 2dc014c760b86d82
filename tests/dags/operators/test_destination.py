"""Who may write when: one task at a time where two would disturb each other, all at once elsewhere."""

from __future__ import annotations

import os
import threading
import traceback
from datetime import timedelta
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowException

from watcher.dags.operators.destination import DuckDb, Postgres, destination_of
from watcher.errors import ConfigError

SOON = timedelta(milliseconds=300)


def test_second_load_waits_and_gives_up(tmp_path: Path) -> None:
    """A second load of one task waits for the first, for a bounded time, and then says for what."""
    destination = DuckDb(tmp_path / "w.duckdb")

    told = r"w\.duckdb: another task still loads"
    with destination.turn("orders"), pytest.raises(AirflowException, match=told), destination.turn("orders", SOON):
        pytest.fail("both had the turn")


def test_second_load_follows(tmp_path: Path) -> None:
    """The turn goes on as soon as the first load ends, also when it failed."""
    destination, had = DuckDb(tmp_path / "w.duckdb"), threading.Event()

    def second() -> None:
        with destination.turn("orders", timedelta(seconds=20)):
            had.set()

    thread = threading.Thread(target=second)

    def first() -> None:
        with destination.turn("orders"):
            thread.start()
            assert not had.is_set()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        first()
    assert had.wait(20)
    thread.join()


def test_other_tasks_go_on(tmp_path: Path) -> None:
    """Another task of the same file loads meanwhile; only the short time that the file is open is shared."""
    destination = DuckDb(tmp_path / "w.duckdb")

    with destination.turn("orders"), destination.turn("customers", SOON), destination.opened(SOON):
        names = {path.name for path in (tmp_path / "w.duckdb.locks").iterdir()}
        assert names == {"file", "task-customers", "task-orders"}


def test_default_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`duckdb` is the file of WATCHER_DUCKDB, else watcher.duckdb in Airflow's home."""
    assert destination_of("duckdb", "orders") == DuckDb(Path(os.environ["AIRFLOW_HOME"]) / "watcher.duckdb")

    monkeypatch.setenv("WATCHER_DUCKDB", str(tmp_path / "w.duckdb"))
    assert destination_of(None, "orders") == DuckDb(tmp_path / "w.duckdb")


def test_connection_as_destination(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any other name is the connection of a PostgreSQL database; another kind is refused in words."""
    monkeypatch.setenv("AIRFLOW_CONN_MART", "postgresql://u@db/mart")
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", "mysql://u@db/mart")

    assert destination_of("mart", "orders") == Postgres("mart", "orders")
    with pytest.raises(ConfigError, match='"other" is none of them'):
        destination_of("other", "orders")


def test_destination_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that does not answer is named by its connection, and its password is nowhere."""
    monkeypatch.setenv("AIRFLOW_CONN_MART", "postgresql://u:hunter2-secret@127.0.0.1:1/mart")

    told, turn = "into mart: the database does not answer", Postgres("mart", "orders").turn("orders")
    with pytest.raises(AirflowException, match=told) as caught, turn:
        pytest.fail("there is no such server")

    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
