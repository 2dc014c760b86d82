"""Where ingest writes: the dlt destination of a task, and the turns its tasks take so that no load meets another."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk.exceptions import AirflowException

from watcher.dags.connections import database_url, folder_of
from watcher.errors import ConfigError

WAIT = timedelta(minutes=15)
"""The longest a task waits for its turn; then it fails and Airflow's retry takes over."""

_LOCK_NOT_AVAILABLE = "55P03"
_LOOK = 0.1  # seconds between two tries: flock has no deadline of its own


@dataclass(frozen=True, slots=True)
class DuckDb:
    """A DuckDB file. Only one process may have it open, so every task opens it in turn."""

    path: Path

    def factory(self) -> Any:
        """dlt's destination. The folder of the file is made when missing."""
        import dlt

        self.path.parent.mkdir(parents=True, exist_ok=True)
        return dlt.destinations.duckdb(str(self.path))

    def turn(self, name: str, wait: timedelta = WAIT) -> AbstractContextManager[None]:
        """Held over a whole load of task `name`: two loads would share one staging table."""
        return _locked_beside(self.path, f"task-{name}", wait)

    def opened(self, wait: timedelta = WAIT) -> AbstractContextManager[None]:
        """Held only while the file is open, so a slow source keeps nobody waiting."""
        return _locked_beside(self.path, "file", wait)


@dataclass(frozen=True, slots=True)
class Lake:
    """A folder that keeps what each load wrote, a file per table and load. Nothing in it is ever merged."""

    path: Path

    def factory(self) -> Any:
        """dlt's destination. The folder is made when missing."""
        import dlt

        self.path.mkdir(parents=True, exist_ok=True)
        return dlt.destinations.filesystem(self.path.as_uri())

    def turn(self, name: str, wait: timedelta = WAIT) -> AbstractContextManager[None]:
        """Held over a whole load of task `name`: its state has one file."""
        return _locked_beside(self.path, f"task-{name}", wait)

    def opened(self) -> AbstractContextManager[None]:
        """Files of two loads have two names."""
        return nullcontext()


@contextmanager
def _locked_beside(path: Path, name: str, wait: timedelta) -> Iterator[None]:
    folder = path.with_name(f"{path.name}.locks")
    folder.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + wait.total_seconds()
    with (folder / name).open("ab") as file:
        while not _taken(file.fileno()):
            if time.monotonic() >= deadline:
                raise AirflowException(f"waited {wait} for {path.name}: another task still loads into it")
            time.sleep(_LOOK)
        yield  # closing the file gives the lock back, and so does the death of the process


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Postgres:
    """A PostgreSQL database behind an Airflow connection; many tasks load side by side."""

    connection_id: str
    dataset: str

    def factory(self) -> Any:
        """dlt's destination, with the connection's credentials."""
        import dlt
        from dlt.common.libs.sql_alchemy import make_url

        url = make_url(database_url(self.connection_id))
        # dlt insists on a password, also where the server trusts the user without one
        plain = url.set(drivername="postgresql", password=url.password or "")
        return dlt.destinations.postgres(plain.render_as_string(hide_password=False))

    @contextmanager
    def turn(self, name: str, wait: timedelta = WAIT) -> Iterator[None]:
        """Held over a whole load of task `name`: two loads would share one staging table."""
        from dlt.common.libs.sql_alchemy import create_engine, sa

        engine = create_engine(database_url(self.connection_id), isolation_level="AUTOCOMMIT")
        try:
            connection = self._locked(engine, f"watcher {self.dataset} {name}", wait)
        except sa.exc.OperationalError as error:
            engine.dispose()
            waited = getattr(error.orig, "sqlstate", getattr(error.orig, "pgcode", None)) == _LOCK_NOT_AVAILABLE
            why = f"waited {wait}: another run of this task still loads" if waited else "the database does not answer"
            raise AirflowException(f"cannot load into {self.connection_id}: {why}") from error
        try:
            yield  # the server gives the lock back with the connection
        finally:
            connection.close()
            engine.dispose()

    def _locked(self, engine: Any, key: str, wait: timedelta) -> Any:
        from dlt.common.libs.sql_alchemy import sa

        connection = engine.connect()
        milliseconds = str(int(wait.total_seconds() * 1000))
        connection.execute(sa.text("select set_config('lock_timeout', :wait, false)"), {"wait": milliseconds})
        connection.execute(sa.text("select pg_advisory_lock(hashtextextended(:key, 0))"), {"key": key})
        return connection

    def opened(self) -> AbstractContextManager[None]:
        """PostgreSQL may be open any number of times."""
        return nullcontext()


Destination = DuckDb | Lake | Postgres


def destination_of(destination: str | None, dataset: str) -> Destination:
    """The destination that `ingest.destination` names: `duckdb` (default), or the id of a PostgreSQL or a folder's connection.

    Raises ConfigError for a connection that is missing or of another kind.
    """
    if destination is None or destination == "duckdb":
        return DuckDb(_duckdb_file())
    folder = folder_of(destination)
    if folder is not None:
        return Lake(folder)
    if not database_url(destination).startswith("postgresql"):
        raise ConfigError(
            f'ingest writes to DuckDB, PostgreSQL or a folder; connection "{destination}" is none of them',
            code="not-available",
        )
    return Postgres(destination, dataset)


def _duckdb_file() -> Path:
    home = Path(os.environ.get("AIRFLOW_HOME", "~/airflow"))
    return Path(os.environ.get("WATCHER_DUCKDB") or home / "watcher.duckdb").expanduser().absolute()
