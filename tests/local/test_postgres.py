"""The embedded PostgreSQL is a real one: durable, restartable, reachable on loopback alone, gone with its owner."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from local.postgres import PostgresServer, running_postgres
from local.processes import StartError


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with running_postgres(tmp_path_factory.mktemp("postgres"), settings={"wal_level": "logical"}) as running:
        yield running


def answer(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def test_settings_reach_the_server(server: PostgresServer) -> None:
    """What the caller sets is in force, and durability is left on."""
    assert answer(server.url(), "show wal_level") == "logical"
    assert answer(server.url(), "show fsync") == "on"


def test_it_listens_on_loopback_alone(server: PostgresServer) -> None:
    """Nobody but this machine can reach the server."""
    assert answer(server.url(), "show listen_addresses") == "127.0.0.1"
    assert answer(server.url(), "show unix_socket_directories") == ""


def test_databases_are_made_copied_and_dropped(server: PostgresServer) -> None:
    """A template's content is in its copy, and a dropped database is gone although someone is connected."""
    template = server.create_database("template_of_test")
    with psycopg.connect(template, autocommit=True) as connection:
        connection.execute("create table filled as select 7 as value")
    copy = server.create_database("copy_of_test", template="template_of_test")
    assert answer(copy, "select value from filled") == 7
    with psycopg.connect(copy):
        server.drop_database("copy_of_test")
    assert not server.has_database("copy_of_test")
    assert server.has_database("template_of_test")


@pytest.mark.parametrize("immediate", [False, True])
def test_a_stopped_server_starts_again_with_its_port_and_data(tmp_path: Path, immediate: bool) -> None:
    """What was committed is there after a stop and after a crash, at the same address."""
    with running_postgres(tmp_path) as server:
        url = server.create_database("kept")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("create table kept as select 1 as value")
        server.stop(immediate=immediate)
        assert not server.running
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url)
        server.start()
        assert answer(url, "select value from kept") == 1


def test_a_port_in_use_is_an_error_with_the_log(tmp_path: Path) -> None:
    """The reason, as PostgreSQL gives it, is in the error."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match="Address already in use"), running_postgres(tmp_path, port=port):
            pass
