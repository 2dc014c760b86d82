"""Airflow's connections in the words of SQLAlchemy."""

from __future__ import annotations

from pathlib import Path

import pytest

from watcher.dags.connections import database_url, folder_of
from watcher.errors import ConfigError


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("sqlite:////data/shop.db", "sqlite:////data/shop.db"),
        ('{"conn_type": "sqlite", "host": "/data/shop.db"}', "sqlite:////data/shop.db"),
        ("postgres://u@db:5433/shop", "postgresql+psycopg2://u@db:5433/shop"),
        (
            "postgresql://u:p%40ssword@db/shop?sslmode=require",
            "postgresql+psycopg2://u:p%40ssword@db/shop?sslmode=require",
        ),
        ("mysql://u:longsecret@db:3306/shop", "mysql://u:longsecret@db:3306/shop"),
        (
            '{"conn_type": "postgres", "host": "::1", "login": "u", "password": "a/b c#d", "schema": "shop"}',
            "postgresql+psycopg2://u:a%2Fb%20c%23d@[::1]/shop",
        ),
    ],
)
def test_database_url(value: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection becomes a URL that SQLAlchemy reads back to the same user, password, host and database."""
    monkeypatch.setenv("AIRFLOW_CONN_THIS", value)

    assert database_url("this") == url


def test_unknown_connection() -> None:
    """A connection that Airflow does not have is a ConfigError that names it."""
    with pytest.raises(ConfigError, match='no connection "nowhere"') as caught:
        database_url("nowhere")
    assert caught.value.code == "unknown-connection"


def test_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection of type File (path) is a folder, whose path is absolute; any other is none."""
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", '{"conn_type": "fs", "extra": {"path": "/data/lake"}}')
    monkeypatch.setenv("AIRFLOW_CONN_HERE", '{"conn_type": "fs", "extra": {"path": "lake"}}')
    monkeypatch.setenv("AIRFLOW_CONN_MART", "postgresql://u@db/mart")

    assert folder_of("lake") == Path("/data/lake")
    assert folder_of("mart") is None
    with pytest.raises(ConfigError, match='"here": its path must be absolute'):
        folder_of("here")
