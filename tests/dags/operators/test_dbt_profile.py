"""dbt is told where to work and how to log in, and no file ever holds a secret."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.sdk.exceptions import AirflowException

from watcher.dags.operators.dbt_profile import NAME, Profile, make_profile
from watcher.dags.operators.destination import DuckDb
from watcher.dags.operators.target import Target
from watcher.errors import ConfigError

# Cosmos' own libraries warn about themselves
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
SECRET = "hunter2-hunter2"


def settings(profile: Profile) -> dict[str, Any]:
    """What dbt reads in the file."""
    return dict(yaml.safe_load(profile.text)[NAME]["outputs"][NAME])


@pytest.fixture
def mart(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes the profile of a connection `mart`."""

    def make(**connection: Any) -> Profile:
        monkeypatch.setenv("AIRFLOW_CONN_MART", json.dumps(connection))
        return make_profile(Target("mart", "Orders"))

    return make


def test_duckdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of ingest, opened in turn with every other task that wants it."""
    monkeypatch.setenv("WATCHER_DUCKDB", str(tmp_path / "new" / "w.duckdb"))

    profile = make_profile(Target("duckdb", "orders-cdc"))

    assert settings(profile)["path"] == str(tmp_path / "new" / "w.duckdb")
    assert (settings(profile)["type"], settings(profile)["schema"]) == ("duckdb", "orders_cdc")
    ingest = DuckDb(tmp_path / "new" / "w.duckdb").opened(timedelta(milliseconds=200))
    with profile.opened(), pytest.raises(AirflowException, match="another task"), ingest:
        pytest.fail("ingest had the file too")


def test_postgres(mart: Any) -> None:
    """Host, database, user and TLS are in the file; the password is in the environment alone."""
    profile = mart(
        conn_type="postgres", host="db", port=5433, login="u", password=SECRET, schema="mart",
        extra={"sslmode": "verify-full", "sslrootcert": "/etc/ca.pem"},
    )  # fmt: skip

    found = settings(profile)
    assert {key: found[key] for key in ("type", "host", "port", "user", "dbname", "schema", "sslmode")} == {
        "type": "postgres", "host": "db", "port": 5433, "user": "u", "dbname": "mart", "schema": "orders",
        "sslmode": "verify-full",
    }  # fmt: skip
    assert found["sslrootcert"] == "/etc/ca.pem"
    assert SECRET not in profile.text + repr(profile)
    assert list(profile.secrets.values()) == [SECRET]
    assert all(name in found["password"] for name in profile.secrets)


def test_postgres_that_trusts(mart: Any) -> None:
    """A server that asks for no password works too, though dbt insists on one."""
    assert settings(mart(conn_type="postgres", host="db", login="u", schema="mart"))["password"]


@pytest.mark.parametrize(
    ("login", "extra", "secret", "key"),
    [
        ({"password": SECRET}, {}, [SECRET], "password"),
        ({}, {"private_key_content": SECRET}, [SECRET], "private_key"),
        ({"password": "phrase"}, {"private_key_content": SECRET}, [SECRET, "phrase"], "private_key_passphrase"),
        ({}, {"private_key_file": "/k.p8"}, [], "private_key_path"),
        ({"password": SECRET}, {"private_key_file": "/k.p8"}, [SECRET], "private_key_passphrase"),
    ],
)
def test_snowflake(mart: Any, login: Any, extra: Any, secret: list[str], key: str) -> None:
    """A Snowflake connection logs in with what it has: a password, or a key in the connection or in a file."""
    place = {"account": "a1", "warehouse": "wh", "database": "db1", "role": "loader", **extra}

    profile = mart(conn_type="snowflake", login="u", schema="PUBLIC", extra=place, **login)

    found = settings(profile)
    assert {name: found[name] for name in ("account", "warehouse", "database", "role", "schema")} == {
        "account": "a1", "warehouse": "wh", "database": "db1", "role": "loader", "schema": "orders",
    }  # fmt: skip
    assert key in found
    assert sorted(profile.secrets.values()) == sorted(secret)
    assert SECRET not in profile.text


def test_snowflake_without_a_login(mart: Any) -> None:
    """A connection with nothing to log in with is refused by its name."""
    with pytest.raises(ConfigError, match='connection "mart" has no login'):
        mart(conn_type="snowflake", login="u", extra={"account": "a1", "database": "db1"})


def test_other_connections(mart: Any) -> None:
    """A missing connection, and one of another kind, are told by name."""
    with pytest.raises(ConfigError, match='connection "mart" is none of them') as caught:
        mart(conn_type="mysql", host="db", password=SECRET)
    assert caught.value.code == "not-available"
    with pytest.raises(ConfigError, match='no connection "nowhere"') as caught:
        make_profile(Target("nowhere", "orders"))
    assert caught.value.code == "unknown-connection"
