"""Airflow connections become database URLs and folders here, and nowhere else on Airflow's side."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, urlencode

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from watcher.errors import ConfigError

_DIALECTS = {"postgres": "postgresql+psycopg2", "postgresql": "postgresql+psycopg2"}
_OWN_OPTIONS = frozenset({"sqlalchemy_scheme", "__extra__"})


def connection_of(connection_id: str) -> Connection:
    """The connection of that id. Raises ConfigError `unknown-connection` when Airflow does not have it."""
    try:
        return BaseHook.get_connection(connection_id)
    except AirflowNotFoundException as error:
        raise ConfigError(f'Airflow has no connection "{connection_id}"', code="unknown-connection") from error


def folder_of(connection_id: str) -> Path | None:
    """The folder of an Airflow connection of the type File (path); None for one of another type.

    Raises ConfigError when Airflow does not have it, or its path is not absolute.
    """
    connection = connection_of(connection_id)
    if connection.conn_type not in ("fs", "file"):
        return None
    path = Path(str(connection.extra_dejson.get("path") or ""))
    if not path.is_absolute():
        raise ConfigError(f'connection "{connection_id}": its path must be absolute', code="bad-value")
    return path


def database_url(connection_id: str) -> str:
    """The SQLAlchemy URL of an Airflow connection, password included: never print it.

    Raises ConfigError `unknown-connection` when Airflow does not have it.
    """
    connection = connection_of(connection_id)
    if connection.conn_type == "sqlite":
        # Airflow's own URI quotes the slashes of the path, which SQLAlchemy does not read back
        return f"sqlite:///{connection.host or connection.schema or ''}"
    return _server_url(connection)


def _server_url(connection: Connection) -> str:
    kind, extra = str(connection.conn_type or ""), connection.extra_dejson
    dialect = extra.get("sqlalchemy_scheme") or _DIALECTS.get(kind, kind.replace("-", "_"))
    login, password = quote(connection.login or "", safe=""), quote(connection.password or "", safe="")
    user = f"{login}:{password}@" if password else f"{login}@" if login else ""
    host = connection.host or ""
    place = f"[{host}]" if ":" in host and not host.startswith("[") else host
    port = f":{connection.port}" if connection.port else ""
    plain = {key: value for key, value in extra.items() if isinstance(value, str | int | float)}
    query = urlencode({key: value for key, value in plain.items() if key not in _OWN_OPTIONS})
    return f"{dialect}://{user}{place}{port}/{quote(connection.schema or '', safe='')}{'?' if query else ''}{query}"
