"""A pipeline as the DAG that Airflow sees."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.models.serialized_dag import SerializedDagModel
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from watcher.dags import build_dags
from watcher.dags.factory import FIRST_DAY, Origin, build_dag
from watcher.dags.operators.ingestion import IngestionOperator
from watcher.pipeline.model import (
    CustomSource,
    DatabaseSource,
    Pipeline,
    TableTimestamp,
    Trigger,
)

ORIGIN = Origin("pipelines/orders.yaml", Path("/opt/airflow/dags/watcher_pipelines.py"), "https://watcher.example/")


def pipeline(**keys: Any) -> Pipeline:
    source = DatabaseSource(
        source_id="orders_db", connection="shop_db", table="public.orders", watch=TableTimestamp(column="updated_at")
    )
    defaults = {
        "name": "orders",
        "sources": (source,),
        "trigger": Trigger(changes=1000, max_wait=timedelta(minutes=10)),
    }
    return Pipeline.model_validate(defaults | keys)


def built(**keys: Any) -> DAG:
    return build_dag(pipeline(**keys), ORIGIN)


def serialized(dag: DAG) -> Any:
    return DagSerialization.to_dict(dag)


def test_smallest() -> None:
    """A pipeline that says little becomes an active DAG that Airflow never starts, found by its tags, one task per source."""
    dag = built()

    assert (dag.dag_id, dag.timetable.can_be_scheduled, dag.catchup) == ("orders", False, False)
    assert dag.start_date == FIRST_DAY
    assert dag.is_paused_upon_creation is False
    assert dag.tags == {"watcher", "source:orders_db"}
    assert dag.task_ids == ["ingest_orders_db"]
    assert dag.task_dict["ingest_orders_db"].owner == "watcher"
    assert dag.fileloc == "/opt/airflow/dags/watcher_pipelines.py"


def test_everything_said() -> None:
    """Schedule, first day, catch-up, limits, owner, tags and description arrive as written."""
    dag = built(
        schedule="0 2 * * *", start_date=date(2026, 1, 31), catchup=True, max_active_runs=3, timeout=timedelta(hours=1),
        owner="data-platform", tags=("shop", "tier-1"), description="Load orders",
    )  # fmt: skip

    assert (dag.schedule, dag.catchup, dag.max_active_runs) == ("0 2 * * *", True, 3)
    assert dag.start_date == datetime(2026, 1, 31, tzinfo=UTC)
    assert dag.dagrun_timeout == timedelta(hours=1)
    assert dag.task_dict["ingest_orders_db"].owner == "data-platform"
    assert dag.tags == {"watcher", "source:orders_db", "shop", "tier-1"}
    assert dag.description == "Load orders"


def test_retries() -> None:
    """Attempts, delay, backoff and the longest delay of `retries` are those of the task, as is its timeout."""
    retry = {"attempts": 5, "delay": timedelta(seconds=10), "backoff": "fixed", "max_delay": timedelta(minutes=2)}
    dag = built(
        retries={"ingest": retry},
        monitoring={"task_timeout": {"ingest": timedelta(minutes=20)}},
    )
    task = dag.task_dict["ingest_orders_db"]

    assert (task.retries, task.retry_delay, task.retry_exponential_backoff) == (5, timedelta(seconds=10), 0)
    assert task.max_retry_delay == timedelta(minutes=2)
    assert task.execution_timeout == timedelta(minutes=20)
    assert built().task_dict["ingest_orders_db"].retry_exponential_backoff == 2


def two_sources() -> tuple[Any, ...]:
    return (
        DatabaseSource(source_id="orders_db", connection="shop_db", table="orders"),
        DatabaseSource(source_id="crm_db", connection="crm_db", table="customers"),
        CustomSource(source_id="off", detector="acme:Models", enabled=False),
    )


def test_dependencies() -> None:
    """Tasks wait for what `dependencies` says under the rule it says; only the first ones announce the batch."""
    after = {"ingest_crm_db": {"after": ("ingest_orders_db",), "trigger_rule": "all_done"}}
    dag = built(sources=two_sources(), dependencies=after)
    first, second = dag.task_dict["ingest_orders_db"], dag.task_dict["ingest_crm_db"]

    assert second.upstream_task_ids == {"ingest_orders_db"}
    assert second.trigger_rule == "all_done"
    assert isinstance(first, IngestionOperator)
    assert isinstance(second, IngestionOperator)
    assert (first.announces, second.announces) == (True, False)
    assert "ingest_off" not in dag.task_dict
    assert "source:off" not in dag.tags


def test_same_file_same_dag() -> None:
    """Building a pipeline twice gives equal DAGs with equal hashes, so a new parse is no new version."""
    keys: dict[str, Any] = {"sources": two_sources(), "tags": ("c", "a", "b"), "schedule": "@daily"}
    one, two = serialized(built(**keys)), serialized(built(**keys))

    assert one == two
    assert SerializedDagModel.hash(one) == SerializedDagModel.hash(two)


WHOLE = """
name: whole
description: all kinds of tasks
owner: data-platform
tags: [c, a, b]
max_active_runs: 2
sources:
  - {source_id: orders_db, source_type: database, connection: shop_db, table: orders, watch: {column: updated_at}}
  - {source_id: landing, source_type: filesystem, path: /data, ingest: {columns: [b, a]}}
  - {source_id: rates, source_type: api, endpoint: /v1, connection: web, params: {b: 1, a: 2}, watch: false}
  - {source_id: crm, source_type: database, connection: crm, tables: [z, y], watch: false}
transformations: [{model_name: m1, vars: {b: 1, a: 2}}, {model_name: m2}]
validations: [{model: m1, rule: unique, column: id}, {table: t, rule: accepted_values, column: c, values: [b, a]}]
snowflake: [{name: publish, sql: select 1, parameters: {b: 1, a: 2}}]
dependencies: {transform_m2: {after: [ingest_rates, transform_m1], trigger_rule: all_done}, validate_t: [ingest_crm]}
trigger: {changes: 1000, max_wait: 10m, conf: {load_type: daily, b: 1, a: [2]}}
"""
_HASHES = """
import sys
from pathlib import Path
from airflow.models.serialized_dag import SerializedDagModel
from airflow.serialization.serialized_objects import DagSerialization
from watcher.dags import build_dags
for _ in range(int(sys.argv[1])):
    dag = build_dags(Path("/opt/airflow/dags/watcher_pipelines.py"))["whole"]
    print("hash", SerializedDagModel.hash(DagSerialization.to_dict(dag)))
"""


def test_a_hundred_parses_are_one_version(pipelines: Path) -> None:
    """Whatever the order of sets is in a process, and however often the files are read, the DAG has one and the same hash."""
    (pipelines / "whole.yaml").write_text(WHOLE)
    hashes = []
    for seed in ("0", "1", "2", "3"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", _HASHES, "25"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        hashes += [line for line in done.stdout.splitlines() if line.startswith("hash ")]

    assert len(hashes) == 100
    assert len(set(hashes)) == 1


def test_the_whole_pipeline(pipelines: Path, loader: Path) -> None:
    """Every key of the file that is Airflow's arrives: dependencies in both spellings, params, groups where they help."""
    (pipelines / "whole.yaml").write_text(WHOLE)
    dag = build_dags(loader)["whole"]
    tasks = dag.task_dict

    assert tasks["transform_m2"].upstream_task_ids == {"ingest_rates", "transform_m1"}
    assert (tasks["transform_m2"].trigger_rule, tasks["transform_m1"].trigger_rule) == ("all_done", "all_success")
    assert tasks["validate_t"].upstream_task_ids == {"ingest_crm"}
    assert {name: dag.params[name] for name in dag.params} == {"load_type": "daily", "b": 1, "a": [2]}
    assert sorted(dag.task_group.get_task_group_dict(), key=str) == [None, "ingest"]
    assert tasks["ingest_crm"].task_group.group_id == "ingest"
    assert dag.max_active_runs == 2


@pytest.mark.parametrize("preset", ["@hourly", "@daily", "@weekly", "@monthly", "@yearly", "30 4 * * 1-5"])
def test_every_schedule_is_one_that_airflow_knows(preset: str) -> None:
    """A preset or cron that `check` takes is a timetable of Airflow's, and shows as such."""
    dag = built(schedule=preset, trigger=None)

    assert (dag.schedule, dag.timetable.can_be_scheduled) == (preset, True)
    assert SerializedDagModel.hash(serialized(dag))


@pytest.mark.parametrize(
    "keys", [{"trigger": Trigger(changes=999)}, {"owner": "else"}, {"alerting": {"when": ("stale",)}}]
)
def test_another_definition_is_another_dag(keys: dict[str, Any]) -> None:
    """Whatever changes in the file, Airflow's own tasks untouched or not, makes a new version."""
    assert SerializedDagModel.hash(serialized(built(**keys))) != SerializedDagModel.hash(serialized(built()))


def test_nothing_is_a_template() -> None:
    """No field of a task is rendered, so nothing that came from a source is ever run as one."""
    dag = built(description="{{ var.value.secret }}")

    assert dag.task_dict["ingest_orders_db"].template_fields == ()


EVERY_KIND: dict[str, Any] = {
    "transformations": ({"model_name": "daily"},),
    "validations": ({"rule": "not_null", "model": "daily", "column": "id"},),
    "snowflake": ({"name": "publish", "sql": "select '{{ var.value.secret }}'"},),
    "retries": {"validate": {"attempts": 0}, "snowflake": {"attempts": 7}},
    "monitoring": {"task_timeout": {"validate": timedelta(minutes=3)}},
}


def test_every_kind_has_its_operator() -> None:
    """Each kind of task is built by its own operator, with the retries and the timeout of its kind; none is rendered."""
    dag = built(**EVERY_KIND)
    validate, publish = dag.task_dict["validate_daily"], dag.task_dict["snowflake_publish"]

    assert {name: type(task).__name__ for name, task in dag.task_dict.items()} == {
        "ingest_orders_db": "IngestionOperator",
        "transform_daily": "TransformationOperator",
        "validate_daily": "ValidationOperator",
        "snowflake_publish": "SnowflakeOperator",
    }
    assert (validate.retries, validate.execution_timeout) == (0, timedelta(minutes=3))
    assert (publish.retries, publish.execution_timeout) == (7, None)
    assert {task.template_fields for task in (validate, publish)} == {()}
    assert SerializedDagModel.hash(serialized(dag)) == SerializedDagModel.hash(serialized(built(**EVERY_KIND)))


def test_page_is_the_dags_documentation() -> None:
    """The book icon opens the page of the pipeline."""
    text = built().doc_md or ""

    assert text.startswith("Made from `pipelines/orders.yaml`: edit that file, not this DAG.")
    assert pipeline().fingerprint[:16] in text.splitlines()[-1]
