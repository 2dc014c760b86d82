"""A pipeline as the DAG that Airflow sees."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.models.serialized_dag import SerializedDagModel
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from watcher.dags.factory import FIRST_DAY, Origin, build_dag
from watcher.dags.operators.ingestion import IngestionOperator
from watcher.errors import ConfigError
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
    """A pipeline that says little becomes an active DAG without a schedule, found by its tags, one task per source."""
    dag = built()

    assert (dag.dag_id, dag.schedule, dag.catchup, dag.start_date) == ("orders", None, False, FIRST_DAY)
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


def test_same_dag_in_another_process() -> None:
    """Another process, with another order of its sets, builds the same DAG."""
    program = (
        f"import sys; sys.path[:0] = {[str(Path(__file__).parent)]!r}\n"
        "import test_factory as t; from airflow.models.serialized_dag import SerializedDagModel as M\n"
        "print('hash', M.hash(t.serialized(t.built(sources=t.two_sources(), tags=('b', 'c', 'a')))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    own = serialized(built(sources=two_sources(), tags=("b", "c", "a")))

    assert f"hash {SerializedDagModel.hash(own)}" in done.stdout.splitlines()


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


def test_kinds_without_an_operator() -> None:
    """A kind of task that nothing builds is refused by name; it is never left out in silence."""
    with pytest.raises(ConfigError, match="transform_daily: no operator for transform tasks yet") as caught:
        built(transformations=({"model_name": "daily"},))
    assert caught.value.code == "not-available"


def test_page_is_the_dags_documentation() -> None:
    """The book icon opens the page of the pipeline."""
    text = built().doc_md or ""

    assert text.startswith("Made from `pipelines/orders.yaml`: edit that file, not this DAG.")
    assert pipeline().fingerprint[:16] in text.splitlines()[-1]
