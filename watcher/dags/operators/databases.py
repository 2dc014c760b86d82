"""Reads databases through Airflow's hooks: one session per connection that only reads, names quoted by its own dialect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from airflow.providers.common.sql.hooks.sql import DbApiHook
from airflow.providers.common.sql.operators.sql import BaseSQLOperator
from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException

from watcher.dags.operators.checks import VALUE, Question, Quote
from watcher.dags.operators.destination import DuckDb, destination_of
from watcher.dags.operators.target import DUCKDB, Target
from watcher.errors import ConfigError, SourceError
from watcher.pipeline.sql_names import Part

_ABOUT_NAMES: Final = ("02", "08", "28", "3D", "3F", "42", "57")  # classes of SQLSTATE whose messages quote no row
_POSTGRES: Final = frozenset({"postgres", "postgresql"})
_QUIET: Final = frozenset({"OperationalError", "ProgrammingError"})


class FileHook(DbApiHook):
    """A DuckDB or SQLite file as common-sql sees a database; opened to read only. The connection's host is the path."""

    conn_name_attr = "file_conn_id"
    _placeholder = "?"

    def get_conn(self) -> Any:
        """A DB-API connection. Raises the driver's own error when there is no such file."""
        connection = self.connection
        if connection.conn_type == "duckdb":
            import duckdb

            return duckdb.connect(connection.host or connection.schema or "", read_only=True)
        import sqlite3

        path = Path(connection.host or connection.schema or "").absolute()
        return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)


@dataclass(frozen=True, slots=True)
class Session:
    """One open connection that asks questions. `first` is a statement before each: a cursor of DuckDB is a new session."""

    connection: Any
    placeholder: str
    quote: Quote
    first: str | None = None

    def ask(self, question: Question) -> tuple[Any, ...]:
        """The one row of the answer. Raises SourceError `source-schema` with no more of the database's words than are safe."""
        try:
            return self._asked(question)
        except Exception as error:  # every driver has an error tree of its own, and this is the door to all of them
            raise SourceError(told(error), code="source-schema") from error
        finally:
            # a failed statement must not spoil the next; DuckDB refuses when nothing is open
            with suppress(Exception):
                self.connection.rollback()

    def _asked(self, question: Question) -> tuple[Any, ...]:
        with closing(self.connection.cursor()) as cursor:
            if self.first:
                cursor.execute(self.first)
            if question.values:
                text = question.text.replace("%", "%%") if self.placeholder == "%s" else question.text
                cursor.execute(text.replace(VALUE, self.placeholder), question.values)
            else:
                cursor.execute(question.text)
            return tuple(cursor.fetchone())


@contextmanager
def reading(connection_id: str, schema: str | None = None) -> Iterator[Session]:
    """A session on an Airflow connection; names without a schema are looked for in `schema` first.

    Raises ConfigError `unknown-connection`, or AirflowException when the database is away.
    """
    hook = hook_of(connection_id)
    with closing(_opened(hook, connection_id)) as connection:
        session = Session(connection, hook.placeholder, quote_of(hook))
        kind = str(hook.connection.conn_type)
        if kind in _POSTGRES:
            _prepare_postgres(session, schema)
        elif kind == "snowflake" and schema:
            with closing(connection.cursor()) as cursor:
                cursor.execute(f"USE SCHEMA {session.quote(Part(schema))}")
        yield session


def _prepare_postgres(session: Session, schema: str | None) -> None:
    with closing(session.connection.cursor()) as cursor:
        cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
        if schema:  # "$user", public and what else the server has stay behind it
            wider = "SELECT set_config('search_path', %s || current_setting('search_path'), false)"
            cursor.execute(wider, (f"{quoted(schema)}, ",))
    session.connection.commit()


@contextmanager
def reading_target(target: Target) -> Iterator[Session]:
    """A session on what ingest writes to, a file in its turn. Names without a schema are looked for in its dataset first.

    Raises as `reading` does; AirflowException also when the file is not there yet.
    """
    file = destination_of(None, target.dataset) if target.destination == DUCKDB else None
    if not isinstance(file, DuckDb):
        with reading(target.destination, target.schema) as session:
            yield session
        return
    if not file.path.is_file():
        raise AirflowException(f"there is no DuckDB file {file.path} yet: has anything been loaded?")
    hook = FileHook("duckdb", connection=Connection(conn_id="duckdb", conn_type="duckdb", host=str(file.path)))
    with file.opened(), closing(_opened(hook, file.path.name)) as connection:
        known = "SELECT 1 FROM information_schema.schemata WHERE schema_name = ?"
        # a schema that is not there would be refused
        found = connection.execute(known, [target.schema]).fetchone() is not None
        path = f"{quoted(target.schema)},main".replace("'", "''")
        yield Session(connection, hook.placeholder, quote_of(hook), f"SET search_path = '{path}'" if found else None)


def hook_of(connection_id: str) -> DbApiHook:
    """The hook of an Airflow connection. Raises ConfigError for one that is missing or speaks no SQL."""
    try:
        connection = BaseHook.get_connection(connection_id)
    except AirflowNotFoundException as error:
        raise ConfigError(f'Airflow has no connection "{connection_id}"', code="unknown-connection") from error
    if connection.conn_type in ("sqlite", "duckdb"):
        return FileHook(connection_id, connection=connection)
    hook = BaseSQLOperator.get_hook(connection_id)
    if not isinstance(hook, DbApiHook):
        message = f'connection "{connection_id}" is of type {connection.conn_type}, which speaks no SQL'
        raise ConfigError(message, code="bad-value")
    return hook


def quote_of(hook: DbApiHook) -> Quote:
    """How the hook's dialect writes one part of a name: bare where that is the same, else quoted."""
    if isinstance(hook, FileHook):
        return lambda part: quoted(part.word)
    preparer = hook.get_sqlalchemy_engine().dialect.identifier_preparer
    doubles = preparer.quote("%") == '"%%"'  # for a driver's own marks, which are put in later here

    def quote(part: Part) -> str:
        text = str(preparer.quote_identifier(part.word) if part.exact else preparer.quote(part.word))
        return text.replace("%%", "%") if doubles else text

    return quote


def quoted(word: str) -> str:
    """A name in standard SQL's quotes.

    >>> quoted('a"; drop')
    '"a""; drop"'
    """
    return '"' + word.replace('"', '""') + '"'


def told(error: Exception) -> str:
    """The first line of a database's words about names and connections; any other error, which may quote rows, by its type.

    >>> told(ValueError("row 1 is secret"))
    'the database refused: ValueError'
    """
    state = str(getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or "")
    harmless = state.startswith(_ABOUT_NAMES) if state else any(kind.__name__ in _QUIET for kind in type(error).__mro__)
    lines = str(error).strip().splitlines()
    return lines[0] if harmless and lines else f"the database refused: {type(error).__name__}"


def _opened(hook: DbApiHook, name: str) -> Any:
    try:
        return hook.get_conn()
    except Exception as error:  # the door to every driver, as above
        raise AirflowException(f"{name} cannot be opened: {told(error)}") from error
