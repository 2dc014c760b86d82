"""The graph of tasks: written order, default order, cycles, unknown names."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pipeline.files import EXAMPLES
from watcher.pipeline.graph import Graph, build_graph, task_id
from watcher.pipeline.load import load_file
from watcher.pipeline.model import Pipeline


def pipeline(dependencies: dict[str, Any] | None = None, **more: Any) -> Pipeline:
    """Two sources, two models, a validation and a Snowflake task, unless `more` says otherwise."""
    body = {
        "name": "p",
        "sources": [
            {"source_id": "a", "source_type": "database"},
            {"source_id": "b", "source_type": "filesystem", "path": "/b"},
        ],
        "transformations": [{"model_name": "m1"}, {"model_name": "m2"}],
        "validations": [{"rule": "row_count", "model": "m1"}, {"rule": "row_count", "model": "m1", "min": 1}],
        "snowflake": [{"name": "s", "sql": "select 1"}],
        "dependencies": dependencies or {},
    }
    return Pipeline.model_validate(body | more)


def after(graph: Graph) -> dict[str, tuple[str, ...]]:
    """What each task waits for."""
    return {name: task.after for name, task in graph.tasks.items()}


def test_without_dependencies_the_default_order_holds() -> None:
    """Sources, then transformations one after the other, then validations, then Snowflake."""
    graph = build_graph(pipeline())
    assert after(graph) == {
        "ingest_a": (),
        "ingest_b": (),
        "transform_m1": ("ingest_a", "ingest_b"),
        "transform_m2": ("transform_m1",),
        "validate_m1": ("transform_m2",),
        "snowflake_s": ("validate_m1",),
    }
    assert graph.order == tuple(after(graph))
    assert {task.trigger_rule for task in graph.tasks.values()} == {"all_success"}


def test_rules_of_one_model_share_a_task() -> None:
    """Two rules about one model are one validation task."""
    graph = build_graph(pipeline())
    assert [name for name, task in graph.tasks.items() if task.kind == "validate"] == ["validate_m1"]
    assert graph.tasks["validate_m1"].subject == "m1"


def test_both_spellings_of_a_dependency_mean_the_same() -> None:
    """A list, or a mapping with `after` and a trigger rule."""
    graph = build_graph(
        pipeline({"transform_m1": ["ingest_a"], "transform_m2": {"after": ["ingest_b"], "trigger_rule": "all_done"}})
    )
    assert graph.tasks["transform_m1"].after == ("ingest_a",)
    assert graph.tasks["transform_m2"].after == ("ingest_b",)
    assert graph.tasks["transform_m2"].trigger_rule == "all_done"


def test_a_task_that_is_not_named_keeps_the_default_without_a_circle() -> None:
    """A validation that gates a later model waits for the earlier one, though nobody wrote so."""
    graph = build_graph(pipeline({"transform_m2": ["validate_m1"]}))
    assert graph.problems == ()
    assert graph.tasks["validate_m1"].after == ("transform_m1",)
    assert graph.order.index("validate_m1") < graph.order.index("transform_m2")


def test_a_models_own_trigger_rule_holds_unless_dependencies_says_another() -> None:
    """`trigger_rule` may stand at the model too."""
    models = [{"model_name": "m1", "trigger_rule": "all_done"}, {"model_name": "m2", "trigger_rule": "all_done"}]
    written = {"transform_m2": {"after": ["ingest_a"], "trigger_rule": "one_success"}, "transform_m1": ["ingest_a"]}
    graph = build_graph(pipeline(written, transformations=models))
    assert graph.tasks["transform_m1"].trigger_rule == "all_done"
    assert graph.tasks["transform_m2"].trigger_rule == "one_success"


def test_a_disabled_source_has_no_task_and_nobody_waits_for_it() -> None:
    """Switching a source off needs no change of `dependencies`."""
    sources = [
        {"source_id": "a", "source_type": "database", "enabled": False},
        {"source_id": "b", "source_type": "database"},
    ]
    graph = build_graph(pipeline({"transform_m1": ["ingest_a", "ingest_b"], "ingest_a": []}, sources=sources))
    assert graph.problems == ()
    assert "ingest_a" not in graph.tasks
    assert graph.tasks["transform_m1"].after == ("ingest_b",)


def test_unknown_tasks_are_problems_with_their_place() -> None:
    """A key and an item of a list, each with what it names."""
    graph = build_graph(pipeline({"transform_x": ["ingest_y"], "transform_m1": ["ingest_a", "ingest_z"]}))
    assert [(each.code, each.task, each.named, each.place) for each in graph.problems] == [
        ("unknown-task", "transform_x", "transform_x", None),
        ("unknown-task", "transform_x", "ingest_y", 0),
        ("unknown-task", "transform_m1", "ingest_z", 1),
    ]
    assert graph.tasks["transform_m1"].after == ("ingest_a",)


@pytest.mark.parametrize("names", [("m1",), ("m1", "m2")])
def test_a_cycle_is_told_with_its_path(names: tuple[str, ...]) -> None:
    """The path begins and ends with the same task and follows what runs after what."""
    ring = {f"transform_{name}": [f"transform_{names[place - 1]}"] for place, name in enumerate(names)}
    graph = build_graph(pipeline(ring))
    (problem,) = graph.problems
    assert problem.code == "cycle"
    assert problem.path[0] == problem.path[-1] == "transform_m1"
    assert all(ring[later] == [earlier] for earlier, later in pairwise(problem.path))


def test_names_that_airflow_refuses_become_ids_it_takes() -> None:
    """A quoted table name gives a legal task id of at most 250 characters."""
    assert task_id("validate", 'my "table"/x') == "validate_my__table__x"
    assert len(task_id("ingest", "a" * 400)) == 250


def test_the_example_with_everything_is_ordered_as_written() -> None:
    """The quality gate of the documentation's second example."""
    loaded = load_file(EXAMPLES / "orders_cdc.yaml", variables={}, availability=False)
    assert build_graph(loaded.pipelines[0].pipeline).order == (
        "ingest_shop_db",
        "transform_staging_orders",
        "validate_staging_orders",
        "transform_orders_daily",
    )


TASKS = ["ingest_a", "ingest_b", "transform_m1", "transform_m2", "validate_m1", "snowflake_s"]


@given(st.dictionaries(st.sampled_from(TASKS), st.lists(st.sampled_from(TASKS), max_size=3), max_size=6))
def test_default_order_never_makes_a_cycle_of_its_own(written: dict[str, list[str]]) -> None:
    """A cycle is told only when what is written has one; else the order respects every edge."""
    graph = build_graph(pipeline(written))
    assert set(graph.order) == set(graph.tasks) == set(TASKS)
    if graph.problems:
        path = graph.problems[0].path
        assert all(earlier in written[later] for earlier, later in pairwise(path))
        return
    for name, task in graph.tasks.items():
        assert all(graph.order.index(other) < graph.order.index(name) for other in task.after)
