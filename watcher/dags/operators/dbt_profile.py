"""A dbt profile made from the destination: the file says where, secrets go through dbt's environment and are never written."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from watcher.dags.operators.destination import DuckDb, destination_of
from watcher.dags.operators.target import DUCKDB, Target
from watcher.errors import ConfigError

NAME = "watcher"
"""The name of the profile and of its only target; a project's own `profile:` is not looked at."""

_THREADS = 4
_POSTGRES = frozenset({"postgres", "postgresql"})
_POSTGRES_EXTRA = ("sslmode", "sslcert", "sslkey", "sslrootcert", "connect_timeout", "keepalives_idle", "role")


@dataclass(frozen=True, slots=True)
class Profile:
    """The text of a profiles.yml without secrets, the environment that has them, and when the database may be open."""

    text: str
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    opened: Callable[[], AbstractContextManager[None]] = nullcontext


def make_profile(target: Target) -> Profile:
    """The profile of a DuckDB file, a PostgreSQL or a Snowflake connection.

    Raises ConfigError for a connection that is missing, of another kind, or has nothing to log in with.
    """
    if target.destination == DUCKDB:
        return _duckdb(target)
    try:
        connection = BaseHook.get_connection(target.destination)
    except AirflowNotFoundException as error:
        message = f'Airflow has no connection "{target.destination}"'
        raise ConfigError(message, code="unknown-connection") from error
    if connection.conn_type in _POSTGRES:
        return _mapped(_postgres(connection, target), connection)
    if connection.conn_type == "snowflake":
        return _mapped(_snowflake(connection, target), connection)
    message = f'dbt works in DuckDB, PostgreSQL and Snowflake; connection "{target.destination}" is none of them'
    raise ConfigError(message, code="not-available")


def _duckdb(target: Target) -> Profile:
    file = destination_of(None, target.dataset)
    if not isinstance(file, DuckDb):
        raise ConfigError(f"{target.destination} is not a DuckDB file", code="internal")
    file.path.parent.mkdir(parents=True, exist_ok=True)
    # an open file would keep every other process out until this one ends
    settings = {"type": "duckdb", "path": str(file.path), "schema": target.schema, "threads": 1, "keep_open": False}
    return Profile(json.dumps({NAME: {"target": NAME, "outputs": {NAME: settings}}}), {}, file.opened)


def _postgres(connection: Connection, target: Target) -> Any:
    from cosmos.profiles import PostgresUserPasswordProfileMapping

    extra = connection.extra_dejson
    settings = {key: extra[key] for key in _POSTGRES_EXTRA if extra.get(key) is not None}
    if not connection.password:
        settings["password"] = "none"  # noqa: S105 - dbt insists on one, also where the server trusts the user without
    return PostgresUserPasswordProfileMapping(
        target.destination, {**settings, "schema": target.schema, "threads": _THREADS}
    )


def _snowflake(connection: Connection, target: Target) -> Any:
    from cosmos import profiles

    extra, phrase = connection.extra_dejson, bool(connection.password)
    kind: Any = profiles.SnowflakeUserPasswordProfileMapping
    if extra.get("private_key_content"):
        kind = profiles.SnowflakePrivateKeyPemProfileMapping
        kind = profiles.SnowflakeEncryptedPrivateKeyPemProfileMapping if phrase else kind
    elif extra.get("private_key_file"):
        kind = profiles.SnowflakePrivateKeyFilePemProfileMapping
        kind = profiles.SnowflakeEncryptedPrivateKeyFilePemProfileMapping if phrase else kind
    settings = {"protocol": extra["protocol"]} if extra.get("protocol") else {}
    return kind(target.destination, {**settings, "schema": target.schema, "threads": _THREADS})


def _mapped(mapping: Any, connection: Connection) -> Profile:
    from cosmos.exceptions import CosmosValueError

    try:
        return Profile(mapping.get_profile_file_contents(NAME, NAME), dict(mapping.env_vars))
    except CosmosValueError as error:
        message = f'connection "{connection.conn_id}" has no login that dbt can use: {error}'
        raise ConfigError(message, code="bad-value") from error
