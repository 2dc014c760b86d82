"""Which tasks of a graph can never start, whatever succeeds or fails before them; decided as Airflow decides it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import product
from typing import Final, Literal, TypeAlias

from watcher.pipeline.graph import Graph, GraphProblem, Task

State: TypeAlias = Literal["success", "failed", "skipped", "upstream_failed"]
States: TypeAlias = frozenset[State]

_RAN: Final[States] = frozenset({"success", "failed"})
_BAD: Final[States] = frozenset({"failed", "upstream_failed"})
_SKIPPED: Final[States] = frozenset({"skipped"})
_UPSTREAM: Final[States] = frozenset({"upstream_failed"})
_MOST: Final = 4_096  # combinations of states that are followed exactly; beyond that, states are taken as independent


def ends(rule: str, before: Collection[State]) -> States:
    """How a task can end whose direct upstream tasks ended so; `success` is among it exactly when the task starts."""
    found = frozenset(before)
    if not found or _starts(rule, found):
        return _RAN
    match rule:
        case "all_success":  # what Airflow sees first decides
            return (_UPSTREAM if found & _BAD else frozenset()) | (_SKIPPED & found)
        case "one_success":
            return _SKIPPED if found == _SKIPPED else _UPSTREAM
        case "none_failed":
            return _UPSTREAM
        case "none_failed_min_one_success":
            return _UPSTREAM if found & _BAD else _SKIPPED
        case "all_done_min_one_success":
            return _SKIPPED if found & _SKIPPED else _UPSTREAM
        case _:
            return _SKIPPED


def _starts(rule: str, found: States) -> bool:
    match rule:
        case "all_success":
            return found == {"success"}
        case "all_failed":
            return found <= _BAD
        case "one_success":
            return "success" in found
        case "one_failed":
            return bool(found & _BAD)
        case "one_done":
            return bool(found & _RAN)
        case "none_failed":
            return not found & _BAD
        case "none_failed_min_one_success":
            return not found & _BAD and "success" in found
        case "none_skipped":
            return "skipped" not in found
        case "all_skipped":
            return found == _SKIPPED
        case "all_done_min_one_success":
            return "skipped" not in found and "success" in found
        case _:  # all_done, always
            return True


def unreachable(graph: Graph) -> tuple[GraphProblem, ...]:
    """A problem for each task that can never start though every task it waits for can; its path leads to it.

    With very many tasks side by side their states are taken as independent of each other: then a task may be missed, but
    none is told wrongly. A graph with problems of its own has none here.
    """
    if graph.problems:
        return ()
    never = _never(graph)
    return tuple(
        GraphProblem("unreachable-task", name, name, path=_path(graph, name))
        for name in graph.order
        if name in never and never.isdisjoint(graph.tasks[name].after)
    )


def _never(graph: Graph) -> frozenset[str]:
    started = _started_when_all_is_well(graph)
    if len(started) == len(graph.tasks):
        return frozenset()
    possible = _followed(graph)
    return frozenset(name for name, states in possible.items() if "success" not in states)


def _started_when_all_is_well(graph: Graph) -> set[str]:
    states: dict[str, State] = {}
    for name in graph.order:
        found = ends(graph.tasks[name].trigger_rule, _of(graph.tasks[name], states))
        states[name] = "success" if "success" in found else min(found)
    return {name for name, state in states.items() if state == "success"}


def _of(task: Task, states: Mapping[str, State]) -> list[State]:
    return [states[name] for name in task.after]


def _followed(graph: Graph) -> Mapping[str, States]:
    """Every state each task can end in: all combinations of the tasks that others still wait for, one task after another."""
    last_needed = {name: place for place, each in enumerate(graph.order) for name in graph.tasks[each].after}
    possible: dict[str, States] = {}
    live: tuple[str, ...] = ()
    combinations: set[tuple[State, ...]] = {()}
    for place, name in enumerate(graph.order):
        task = graph.tasks[name]
        known = [
            (each, ends(task.trigger_rule, _of(task, dict(zip(live, each, strict=True))))) for each in combinations
        ]
        possible[name] = frozenset(state for _, states in known for state in states)
        kept = [at for at, each in enumerate(live) if last_needed[each] > place]
        itself = name in last_needed
        combinations = {
            (*(each[at] for at in kept), *((state,) if itself else ())) for each, states in known for state in states
        }
        live = (*(live[at] for at in kept), *((name,) if itself else ()))
        if len(combinations) > _MOST:
            return _independent(graph)
    return possible


def _independent(graph: Graph) -> Mapping[str, States]:
    possible: dict[str, States] = {}
    for name in graph.order:
        task = graph.tasks[name]
        possible[name] = frozenset(
            state
            for found in _together(possible[each] for each in task.after)
            for state in ends(task.trigger_rule, found)
        )
    return possible


def _together(before: Iterable[States]) -> set[States]:
    """What can stand beside each other: one state of each, as a set, since no rule counts."""
    together: set[States] = {frozenset()}
    for states in before:
        together = {found | {state} for found, state in product(together, states)}
    return together


def _path(graph: Graph, name: str) -> tuple[str, ...]:
    """The longest way to a task, from one that waits for nothing."""
    ways: dict[str, tuple[str, ...]] = {}
    for each in graph.order:
        ways[each] = (*max((ways[before] for before in graph.tasks[each].after), key=len, default=()), each)
    return ways[name]
