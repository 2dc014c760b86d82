"""Tasks that can never start are found before Airflow sees them, and no other task is told."""

from __future__ import annotations

import itertools
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.pipeline import reachable
from watcher.pipeline.graph import Graph, build_graph
from watcher.pipeline.model import Pipeline
from watcher.pipeline.reachable import State, ends, unreachable
from watcher.pipeline.tasks import TriggerRule

RULES = get_args(TriggerRule)
MODELS = [f"m{number}" for number in range(5)]


def graph_of(dependencies: dict[str, Any], sources: int = 2) -> Graph:
    """Sources s0, s1, ... and models m0 to m4, ordered as written."""
    body = {
        "name": "p",
        "sources": [{"source_id": f"s{number}", "source_type": "database"} for number in range(sources)],
        "transformations": [{"model_name": name} for name in MODELS],
        "dependencies": {f"transform_{name}": [] for name in MODELS} | dependencies,
    }
    return build_graph(Pipeline.model_validate(body))


def rule(name: str, *after: str) -> dict[str, Any]:
    return {"after": list(after), "trigger_rule": name}


@pytest.mark.parametrize("name", RULES)
def test_without_upstream_tasks_every_rule_starts(name: str) -> None:
    """Nothing to wait for means that no rule can stand in the way."""
    assert "success" in ends(name, [])


@pytest.mark.parametrize("name", sorted(set(RULES) - {"all_skipped"}))
def test_after_a_task_that_always_runs_any_rule_but_one_can_start(name: str) -> None:
    """A task succeeds or fails; only one that waits for skipped tasks waits for ever."""
    assert unreachable(graph_of({"transform_m0": rule(name, "ingest_s0")})) == ()


def test_waiting_for_skipped_tasks_where_none_is_ever_skipped() -> None:
    """Told with the way to the task, once: what only waits for it is not told again."""
    graph = graph_of({"transform_m0": rule("all_skipped", "ingest_s0"), "transform_m1": ["transform_m0"]})
    (problem,) = unreachable(graph)
    assert (problem.code, problem.task) == ("unreachable-task", "transform_m0")
    assert problem.path == ("ingest_s0", "transform_m0")


def test_a_task_and_what_runs_only_when_it_failed_cannot_both_succeed() -> None:
    """States are followed together: each alone can succeed, and never both."""
    dependencies = {
        "transform_m0": rule("all_failed", "ingest_s0"),
        "transform_m1": ["ingest_s0", "transform_m0"],
        "transform_m2": rule("none_failed", "ingest_s0", "transform_m0"),
    }
    (problem,) = unreachable(graph_of(dependencies))
    assert problem.path == ("ingest_s0", "transform_m0", "transform_m1")


def test_a_skipped_task_can_be_waited_for() -> None:
    """`all_skipped` after a task that is skipped whenever all goes well can start."""
    dependencies = {
        "transform_m0": rule("one_failed", "ingest_s0"),
        "transform_m1": rule("all_skipped", "transform_m0"),
    }
    assert unreachable(graph_of(dependencies)) == ()


def test_very_many_tasks_side_by_side() -> None:
    """Past the limit of exact combinations nothing is told wrongly, and what is plain is still found, quickly."""
    after = [f"ingest_s{number}" for number in range(60)]
    dependencies = {
        "transform_m0": rule("one_failed", *after),
        "transform_m1": rule("all_skipped", *after),
        "transform_m2": rule("all_failed", *after),
    }
    assert [problem.task for problem in unreachable(graph_of(dependencies, sources=60))] == ["transform_m1"]


def test_a_graph_with_problems_is_not_judged() -> None:
    """With an unknown task nobody knows what the others wait for."""
    assert unreachable(graph_of({"transform_m0": rule("all_skipped", "ingest_s0", "ingest_lost")})) == ()


def simulated(graph: Graph) -> set[str]:
    """Every task that starts in at least one of all possible courses of a run, tried one by one."""
    started: set[str] = set()
    for wishes in itertools.product(("success", "failed"), repeat=len(graph.order)):
        courses: list[dict[str, State]] = [{}]
        for name, wish in zip(graph.order, wishes, strict=True):
            task = graph.tasks[name]
            following = []
            for course in courses:
                found = ends(task.trigger_rule, [course[each] for each in task.after])
                if "success" in found:
                    started.add(name)
                following += [course | {name: state} for state in ({wish} if "success" in found else found)]
            courses = following
    return started


TASKS = st.dictionaries(
    st.sampled_from(MODELS),
    st.tuples(st.sampled_from(RULES), st.lists(st.sampled_from(["ingest_s0", "ingest_s1", *MODELS]), max_size=3)),
    max_size=5,
)


@given(TASKS, st.booleans())
def test_exactly_the_tasks_that_never_start(drawn: dict[str, tuple[str, list[str]]], exact: bool) -> None:
    """Against every possible course of a run: with exact combinations all and only the first such tasks are told."""
    dependencies = {
        f"transform_{name}": rule(
            kind,
            *(
                each if each.startswith("ingest") else f"transform_{each}"
                for each in after
                if each < name or "_" in each
            ),
        )
        for name, (kind, after) in drawn.items()
    }
    graph = graph_of(dependencies)
    never = set(graph.tasks) - simulated(graph)
    first = {name for name in never if never.isdisjoint(graph.tasks[name].after)}
    with pytest.MonkeyPatch.context() as patch:
        if not exact:
            patch.setattr(reachable, "_MOST", 0)
        told = {problem.task for problem in unreachable(graph)}
    assert told == first if exact else told <= never
