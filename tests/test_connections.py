"""Connections: found where Airflow users keep them, in a fixed order, never printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from watcher.connections import Connections, to_url
from watcher.errors import ConfigError


def test_the_first_place_wins_and_is_named(tmp_path: Path) -> None:
    """Own variable, settings, Airflow's variable, Airflow's file: in that order."""
    file = tmp_path / "connections.yaml"
    file.write_text("shop_db: sqlite:////from/file.db\n")
    variables = {"WATCHER_CONN_SHOP_DB": "sqlite:////1", "AIRFLOW_CONN_SHOP_DB": "sqlite:////3"}
    settings = {"shop_db": "sqlite:////2"}
    found = []
    for places in (
        (settings, variables),
        (settings, {"AIRFLOW_CONN_SHOP_DB": "sqlite:////3"}),
        ({}, variables),
        ({}, {}),
    ):
        connection = Connections(places[0], places[1], file).find("shop_db")
        found.append((connection.url, connection.where))
    assert found == [
        ("sqlite:////1", "WATCHER_CONN_SHOP_DB"),
        ("sqlite:////2", "connections: in the settings"),
        ("sqlite:////1", "WATCHER_CONN_SHOP_DB"),
        ("sqlite:////from/file.db", str(file)),
    ]


def test_an_unknown_connection_says_where_we_looked() -> None:
    """The error lists every place that was asked."""
    with pytest.raises(ConfigError) as caught:
        Connections({}, {}, None).find("shop_db")
    assert caught.value.code == "unknown-connection"
    assert "WATCHER_CONN_SHOP_DB, connections: in the settings, AIRFLOW_CONN_SHOP_DB" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("postgres://u:p@h:5432/d", "postgresql://u:p@h:5432/d"),
        (
            '{"conn_type": "postgres", "login": "u", "password": "p@/", "host": "h", "port": 1, "schema": "d"}',
            "postgresql://u:p%40%2F@h:1/d",
        ),
        ('{"conn_type": "sqlite", "host": "/data/x.db"}', "sqlite:////data/x.db"),
        (
            '{"conn_type": "postgres", "host": "h", "schema": "d", "extra": "{\\"sslmode\\": \\"require\\"}"}',
            "postgresql://h/d?sslmode=require",
        ),
    ],
)
def test_airflows_forms_become_urls(value: str, url: str) -> None:
    """A URI and JSON, as Airflow writes them, mean the same database here."""
    assert to_url("c", value) == url


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.env", "shop_db=sqlite:////x\n# note\n"),
        ("c.json", '{"shop_db": "sqlite:////x"}'),
        ("c.yaml", "shop_db:\n  - {conn_type: sqlite, host: /x}\n"),
    ],
)
def test_airflows_secrets_file_is_read_in_its_three_forms(tmp_path: Path, name: str, text: str) -> None:
    """.env, JSON and YAML give the same connection."""
    file = tmp_path / name
    file.write_text(text)
    assert Connections({}, {}, file).find("shop_db").url == "sqlite:////x"


@pytest.mark.parametrize(
    "value",
    [
        '{"host": "h"}',
        "{broken",
        '{"conn_type": "postgres", "extra": "broken"}',
        '{"conn_type": "postgres", "extra": ["broken"]}',
        '{"conn_type": "postgres", "extra": "[\\"broken\\"]"}',
    ],
)
def test_json_that_is_no_connection_is_refused_without_showing_it(value: str) -> None:
    """The message names the id, never the text, which may hold a password."""
    with pytest.raises(ConfigError) as caught:
        to_url("shop_db", value)
    assert "shop_db" in str(caught.value)
    assert "broken" not in str(caught.value)


def test_a_connections_file_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    """The message holds the path and none of the bytes."""
    file = tmp_path / "c.env"
    file.write_bytes(b"shop_db=postgresql://u:canary\xff@h/d\n")
    with pytest.raises(ConfigError) as caught:
        Connections({}, {}, file).find("shop_db")
    assert str(caught.value) == f"connections_file {file} is not UTF-8"


def test_the_repr_holds_no_credentials() -> None:
    """A connection may appear in a trace."""
    connection = Connections({"c": "postgresql://u:canary@h/d"}, {}).find("c")
    assert "canary" not in repr(connection)
