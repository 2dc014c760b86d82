"""Boxes around many tasks of a kind, only where they can be drawn, and never with other task ids."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from watcher.dags.factory import build_dag
from watcher.dags.groups import FROM, groups_of
from watcher.pipeline.graph import build_graph
from watcher.pipeline.model import DatabaseSource, Pipeline


def pipeline(sources: int, models: int, dependencies: dict[str, Any] | None = None) -> Pipeline:
    return Pipeline.model_validate(
        {
            "name": "orders",
            "sources": [DatabaseSource(source_id=f"s{n}", connection="c", table="t") for n in range(sources)],
            "transformations": [{"model_name": f"m{n}"} for n in range(models)],
            "validations": [{"model": f"m{n}", "rule": "row_count", "min": 1} for n in range(models)],
            "dependencies": dependencies or {},
        }
    )


def kinds(made: Pipeline) -> set[str]:
    return set(groups_of(build_graph(made).tasks, DAG("orders")))


def test_few_tasks_have_no_box() -> None:
    """Below the limit, and with one kind alone, all tasks stand side by side."""
    assert kinds(pipeline(FROM - 1, FROM - 1)) == set()
    assert kinds(pipeline(FROM, 0)) == set()


def test_many_tasks_of_a_kind() -> None:
    """Each kind with enough tasks gets its box."""
    assert kinds(pipeline(FROM, 1)) == {"ingest"}
    assert kinds(pipeline(FROM, FROM)) == {"ingest", "transform", "validate"}


def test_no_box_that_waits_for_itself() -> None:
    """Where a validation gates a later model, models and validations cannot both be boxes: Airflow could draw neither."""
    gate = {"validate_m0": ["transform_m0"], "transform_m1": ["validate_m0"]}
    made = pipeline(FROM, FROM, gate)

    assert kinds(made) == {"ingest"}


def test_ids_stay(tmp_path: Any) -> None:
    """A box changes neither ids nor order, and Airflow can sort and store the DAG."""
    from watcher.dags.factory import Origin

    made = pipeline(FROM, FROM)
    dag = build_dag(made, Origin("pipelines/orders.yaml", tmp_path / "loader.py"))

    assert set(dag.task_dict) == set(build_graph(made).tasks)
    assert [node.node_id for node in dag.task_group.topological_sort()] == ["ingest", "transform", "validate"]
    assert DagSerialization.to_dict(dag)
