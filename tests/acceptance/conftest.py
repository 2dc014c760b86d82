"""One real Airflow and one real PostgreSQL for the whole session; a fresh daemon folder and database for each test."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from local.airflow import ROOT, AirflowLaunch, AirflowServer, running_airflow
from local.postgres import PostgresServer, running_postgres
from local.snowflake import SnowflakeServer, running_snowflake
from tests.acceptance.daemon import Place
from tests.dags.http_server import HttpServer, http_server

DAGS_FOR_TESTS = Path(__file__).with_name("dags_for_tests.py")
DBT_PROJECT = Path(__file__).with_name("dbt_project")
API_PASSWORD = "known-to-the-api-only"
_names = itertools.count(1)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pipelines, landing folders and DAGs that Airflow and the daemons share."""
    made = tmp_path_factory.mktemp("acceptance")
    (made / "pipelines").mkdir()
    shutil.copytree(ROOT / "airflow" / "dags", made / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(DAGS_FOR_TESTS, made / "dags")
    return made


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """The PostgreSQL that is watched."""
    with running_postgres(tmp_path_factory.mktemp("postgres")) as server:
        server.create_database("shop")
        yield server


@pytest.fixture(scope="session")
def api() -> Iterator[HttpServer]:
    """The HTTP API behind the connection `shop_api`; a test says what it answers."""
    with http_server() as server:
        yield server


@pytest.fixture(scope="session")
def snowflake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SnowflakeServer]:
    """Snowflake's protocol over TLS behind the connection `snowflake_default`."""
    with running_snowflake(tmp_path_factory.mktemp("snowflake")) as server:
        yield server


@pytest.fixture(scope="session")
def airflow(
    tmp_path_factory: pytest.TempPathFactory,
    folder: Path,
    shop: PostgresServer,
    api: HttpServer,
    snowflake: SnowflakeServer,
) -> Iterator[AirflowServer]:
    """The Airflow that runs."""
    shop_api = {
        "conn_type": "http",
        "host": "127.0.0.1",
        "port": api.port,
        "login": "watcher",
        "password": API_PASSWORD,
    }
    launch = AirflowLaunch(
        pipelines=folder / "pipelines",
        dags_folder=folder / "dags",
        connections={
            "shop_db": shop.url("shop"),
            "shop_api": json.dumps(shop_api),
            "snowflake_default": snowflake.connection(),
        },
        env={
            "WATCHER_DUCKDB": str(folder / "loaded.duckdb"),
            "WATCHER_DBT_PROJECT": str(shutil.copytree(DBT_PROJECT, folder / "dbt")),
            **snowflake.environment(),
        },
    )
    with running_airflow(tmp_path_factory.mktemp("airflow"), launch) as server:
        yield server


@pytest.fixture
def place(tmp_path: Path, airflow: AirflowServer, shop: PostgresServer) -> Place:
    """A daemon's folder, its settings written, no pipeline yet."""
    made = Place(tmp_path, airflow.url, airflow.password, {"AIRFLOW_CONN_SHOP_DB": shop.url("shop")})
    made.write()
    return made


def make_table(connection: psycopg.Connection, name: str) -> None:
    """A table of orders whose commits are told on a channel of its own name."""
    connection.execute(
        f"""
        create table {name}(
            id bigserial primary key, amount int not null default 1, updated_at timestamptz not null default now());
        create function {name}_told() returns trigger language plpgsql as
            $$ begin perform pg_notify('{name}', ''); return null; end $$;
        create trigger told after insert or update on {name} for each statement execute function {name}_told();
        """
    )


@pytest.fixture
def table(shop: PostgresServer) -> Iterator[str]:
    """A fresh table for one test."""
    name = f"orders_{next(_names)}"
    with psycopg.connect(shop.url("shop"), autocommit=True) as connection:
        make_table(connection, name)
        yield name
        connection.execute(f"drop table {name}; drop function {name}_told()")
