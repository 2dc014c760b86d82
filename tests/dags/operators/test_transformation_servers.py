"""The same models are built in a PostgreSQL and in a Snowflake connection."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.providers.snowflake.hooks.snowflake import SnowflakeHook
from airflow.sdk.exceptions import AirflowException
from dbt_tasks import Build, pipeline

from watcher.dags.factory import Origin, build_dag
from watcher.pipeline.model import DatabaseSource, Ingest

if TYPE_CHECKING:
    from local.snowflake import SnowflakeServer

pytestmark = pytest.mark.usefixtures("dbt_project")

RAW = (
    "create schema if not exists orders",
    "create table orders.orders (id integer, amount integer, updated_at timestamp)",
    "insert into orders.orders values (1, 10, '2026-11-21'), (2, 20, '2026-11-22'), (3, 5, '2026-11-22')",
)


def on_server(connection_id: str) -> tuple[Any, str]:
    """What each model says after a whole build in the database of a connection, and the words of the one that fails."""
    source = DatabaseSource(
        source_id="orders_db", connection="shop_db", table="orders", ingest=Ingest(destination=connection_id)
    )
    models = ({"model_name": "orders_daily", "select": "+orders_daily"}, {"model_name": "broken"})
    task = Build(model_name="unused")
    task.dag = build_dag(pipeline(*models, sources=(source,)), Origin("orders.yaml", Path("/opt/dags/loader.py")))
    context: Any = {"dag_run": SimpleNamespace(conf={}, run_id="manual"), "ti": task, "run_id": "manual"}
    answer = task.dag.task_dict["transform_orders_daily"].execute(context)
    with pytest.raises(AirflowException) as caught:
        task.dag.task_dict["transform_broken"].execute(context)
    return {name: (end["status"], end["rows"]) for name, end in answer.items()}, str(caught.value)


@pytest.mark.filterwarnings("ignore")  # the drivers' own warnings
def test_on_postgres(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a PostgreSQL connection models are built beside what ingest loaded, and the rows written are counted."""
    monkeypatch.setenv("AIRFLOW_CONN_MART", postgres_url)
    hook = PostgresHook("mart")
    hook.run(["drop schema if exists orders cascade", *RAW])

    answer, failure = on_server("mart")

    assert answer == {"staging_orders": ("success", None), "orders_daily": ("success", 2)}
    assert 'column "no_such_column" does not exist' in failure
    assert hook.get_records("select orders, amount from orders.orders_daily order by day") == [(1, 10), (2, 25)]
    hook.run("drop schema orders cascade")


@pytest.mark.filterwarnings("ignore")  # as above
def test_on_snowflake(snowflake: SnowflakeServer) -> None:
    """In a Snowflake connection, over TLS, the same models are built; a count that Snowflake does not give is not made up."""
    hook = SnowflakeHook("snowflake_default")
    hook.run(["drop schema if exists orders", *RAW])

    answer, failure = on_server("snowflake_default")

    assert answer == {"staging_orders": ("success", None), "orders_daily": ("success", None)}
    assert "NO_SUCH_COLUMN" in failure
    assert hook.get_records("select orders, amount from orders.orders_daily order by day") == [(1, 10), (2, 25)]
    hook.run("drop schema orders cascade")
