"""The tasks of a pipeline and what each waits for; the same graph is checked at load, drawn and built in Airflow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Literal

from watcher.pipeline.model import Pipeline

Kind = Literal["ingest", "transform", "validate", "snowflake"]


@dataclass(frozen=True, slots=True)
class Task:
    """One task of the DAG. `subject` is the source_id, model_name, validated subject or name it was made for."""

    task_id: str
    kind: Kind
    after: tuple[str, ...]
    trigger_rule: str
    subject: str


@dataclass(frozen=True, slots=True)
class GraphProblem:
    """An unknown task, a cycle, a task that never starts: the task that is to blame, and the place in its list if one is."""

    code: Literal["unknown-task", "cycle", "unreachable-task"]
    task: str
    named: str
    place: int | None = None
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Graph:
    """Tasks by id, in an order in which they can run (`order`). With problems the graph lacks what they name."""

    tasks: Mapping[str, Task]
    order: tuple[str, ...]
    problems: tuple[GraphProblem, ...] = ()


def build_graph(pipeline: Pipeline) -> Graph:
    """The tasks of enabled sources, transformations, validations and Snowflake tasks, ordered as `dependencies` says.

    A task that `dependencies` does not name waits by the default order: sources, transformations one after the other,
    validations, Snowflake tasks; never in a way that would close a circle with what is written.
    """
    kinds = _declared(pipeline)
    silent = frozenset(task_id("ingest", source.source_id) for source in pipeline.sources if not source.enabled)
    arranged = _Arranged(kinds)
    problems = [*arranged.take_written(pipeline, silent)]
    arranged.take_defaults()
    order, cycle = _sorted(arranged.after)
    rules = {each: _rule(pipeline, each, subject) for each, (_, subject) in kinds.items()}
    tasks = {each: Task(each, kinds[each][0], arranged.after[each], rules[each], kinds[each][1]) for each in order}
    return Graph(tasks, order, tuple(problems + ([cycle] if cycle else [])))


def task_id(kind: Kind, subject: str) -> str:
    """The id of a task; what Airflow does not take in an id becomes `_`.

    >>> task_id("validate", 'shop."Orders"')
    'validate_shop._Orders_'
    """
    return f"{kind}_{re.sub(r'[^A-Za-z0-9_.-]', '_', subject)}"[:250]


def _declared(pipeline: Pipeline) -> dict[str, tuple[Kind, str]]:
    subjects: list[tuple[Kind, str]] = [
        *(("ingest", source.source_id) for source in pipeline.sources if source.enabled),
        *(("transform", model.model_name) for model in pipeline.transformations),
        *(("validate", rule.subject) for rule in pipeline.validations),
        *(("snowflake", task.name) for task in pipeline.snowflake),
    ]
    return {task_id(kind, subject): (kind, subject) for kind, subject in subjects}


def _rule(pipeline: Pipeline, task: str, subject: str) -> str:
    written = pipeline.dependencies.get(task)
    if written is not None and "trigger_rule" in written.model_fields_set:
        return written.trigger_rule
    models = (model for model in pipeline.transformations if task_id("transform", model.model_name) == task)
    return next((model.trigger_rule for model in models if model.trigger_rule), "all_success")


def _sorted(after: Mapping[str, tuple[str, ...]]) -> tuple[tuple[str, ...], GraphProblem | None]:
    """The order, and the first cycle if there is one; then the order is that of the declaration."""
    try:
        return tuple(TopologicalSorter(after).static_order()), None
    except CycleError as error:
        ring = list(error.args[1][:-1])
        start = ring.index(min(ring))
        path = (*ring[start:], *ring[:start], ring[start])
        return tuple(after), GraphProblem("cycle", path[1], path[0], path=path)


@dataclass(slots=True)
class _Arranged:
    kinds: Mapping[str, tuple[Kind, str]]
    after: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def take_written(self, pipeline: Pipeline, silent: frozenset[str]) -> Iterable[GraphProblem]:
        """What `dependencies` says; `silent` are tasks of disabled sources, which nobody waits for."""
        for task, dependency in pipeline.dependencies.items():
            if task not in self.kinds and task not in silent:
                yield GraphProblem("unknown-task", task, task)
            for place, name in enumerate(dependency.after):
                if name not in self.kinds and name not in silent:
                    yield GraphProblem("unknown-task", task, name, place)
            if task in self.kinds:
                self.after[task] = tuple(dict.fromkeys(name for name in dependency.after if name in self.kinds))

    def take_defaults(self) -> None:
        """The default order for every task that was not written."""
        written = frozenset(self.after)
        before: list[str] = []
        for kind in ("ingest", "transform", "validate", "snowflake"):
            own = [task for task, (known, _) in self.kinds.items() if known == kind]
            for place, task in enumerate(own):
                earlier = own[:place] if kind in ("transform", "snowflake") else []
                if task not in written:
                    self.after[task] = self._nearest(task, [*before, *earlier] if kind != "ingest" else [])
            before += own
        self.after = {task: self.after[task] for task in self.kinds}

    def _nearest(self, task: str, candidates: list[str]) -> tuple[str, ...]:
        """Those candidates that do not wait for the task themselves, and for which no other candidate waits."""
        free: list[str] = []
        covered: set[str] = set()
        for name in reversed(candidates):
            above = self._all_before(name) if name not in covered else {task}
            if task not in above:
                free.append(name)
                covered |= above
        return tuple(name for name in reversed(free) if name not in covered)

    def _all_before(self, task: str) -> set[str]:
        seen: set[str] = set()
        waiting = [task]
        while waiting:
            fresh = set(self.after.get(waiting.pop(), ())) - seen
            seen |= fresh
            waiting += fresh
        return seen
