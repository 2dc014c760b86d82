"""What no single key shows: names that nobody has, tasks that wait for each other, keys that contradict each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

from watcher.pipeline.graph import Graph, GraphProblem, build_graph, task_id
from watcher.pipeline.model import Pipeline
from watcher.pipeline.problems import Problem
from watcher.pipeline.reachable import unreachable
from watcher.pipeline.refusals import nearest
from watcher.pipeline.secrets import holds_password, is_secret_key
from watcher.pipeline.sources import ApiSource, CustomSource, DatabaseSource, FilesystemSource, Source
from watcher.pipeline.tree import Fields, Items, Way, find, walk
from watcher.pipeline.trigger import branches
from watcher.pipeline.watches import TableLog

Found: TypeAlias = Iterator[Problem]
_NAMES: Final = (("sources", "source_id"), ("transformations", "model_name"), ("snowflake", "name"))
_TASKS: Final = ("transformations", "validations", "snowflake", "dependencies")


def check(pipeline: Pipeline, tree: Fields, written: Fields) -> tuple[Problem, ...]:
    """All problems of a pipeline that was made from `tree`; `written` also has what was refused and left out."""
    checks: tuple[Callable[[Pipeline, Fields], Found], ...] = (_existing_dag, _conf_secrets)
    known = _ids(tree) | _ids(written)
    found = [problem for each in checks for problem in each(pipeline, tree)]
    return (
        *found,
        *_names(written),
        *_sources(pipeline, tree, written),
        *_branches(pipeline, tree, written, known),
        *_graph(pipeline, tree, written),
    )


def _ids(tree: Fields) -> frozenset[str]:
    return frozenset(_listed(tree, "sources", "source_id"))


def _listed(tree: Fields, block: str, key: str) -> Iterator[str]:
    return (name for name, _ in _placed(tree, block, key))


def _placed(tree: Fields, block: str, key: str) -> Iterator[tuple[str, int]]:
    listed = tree.get(block)
    for place, item in enumerate(listed.items if isinstance(listed, Items) else ()):
        name = item.text(key) if isinstance(item, Fields) else None
        if name is not None:
            yield name, place


def _names(tree: Fields) -> Found:
    for block, key in _NAMES:
        seen: dict[str, int] = {}
        for name, place in _placed(tree, block, key):
            first = seen.setdefault(name, place)
            if first != place:
                line = find(tree, (block, first, key)).line
                message = f'{key} "{name}" stands twice, first in line {line}'
                yield find(tree, (block, place, key)).problem("duplicate-name", message, "rename one of the two")


def _existing_dag(pipeline: Pipeline, tree: Fields) -> Found:
    if pipeline.generated:
        return
    for key in _TASKS:
        if getattr(pipeline, key):
            message = f"{key} and dag_id cannot stand together: an existing DAG has its own tasks"
            yield find(tree, (key,), key=True).problem("bad-value", message, f"take out {key}, or dag_id")
    if pipeline.schedule is not None:
        message = "schedule and dag_id cannot stand together: an existing DAG has its own schedule"
        yield find(tree, ("schedule",), key=True).problem("bad-value", message, "take out schedule, or dag_id")


def _sources(pipeline: Pipeline, tree: Fields, written: Fields) -> Found:
    for place, source in enumerate(pipeline.sources):
        yield from _foreign_ingest(source, tree, ("sources", place, "ingest"))
        if source.watch is None or not source.enabled:
            continue
        if isinstance(source, DatabaseSource):
            yield from _watched_database(source, tree, ("sources", place), _keys_of(written, source.source_id))
        if isinstance(source, FilesystemSource) and "://" in source.path and source.watch.method == "notify":
            message = "notify needs a folder of this machine"
            where = find(tree, ("sources", place, "watch", "method"))
            yield where.problem("bad-value", message, "take `method: polling`")


def _foreign_ingest(source: Source, tree: Fields, way: Way) -> Found:
    for key, kind in (("select", ApiSource), ("resource", CustomSource)):
        if getattr(source.ingest, key, None) is not None and not isinstance(source, kind):
            wanted = kind.model_fields["source_type"].default
            message = f"ingest.{key} is for sources of type {wanted}, this one is of type {source.source_type}"
            yield find(tree, (*way, key), key=True).problem("bad-value", message, f"take out {key}")


def _keys_of(written: Fields, source_id: str) -> frozenset[str]:
    """The keys that a source was written with, refused ones too."""
    listed = written.get("sources")
    named = dict(_placed(written, "sources", "source_id"))
    item = listed.items[named[source_id]] if isinstance(listed, Items) and source_id in named else None
    return frozenset(item.entries) if isinstance(item, Fields) else frozenset()


def _watched_database(source: DatabaseSource, tree: Fields, way: Way, keys: frozenset[str]) -> Found:
    start = find(tree, (*way, "source_id"))
    something = {"table", "tables", "query"} & keys
    if "connection" not in keys:
        message = "a database source that is watched needs a connection"
        yield start.problem("missing-key", message, "add `connection:`")
    if not something and not getattr(source.watch, "query", None) and not isinstance(source.watch, TableLog):
        message = "a database source that is watched needs table, tables or query"
        yield start.problem("missing-key", message, "add `table:`, or `watch: false`")
    if not something and getattr(source.watch, "compare", None) == "rows":
        message = "compare: rows needs table, tables or query"
        yield find(tree, (*way, "watch", "compare")).problem("missing-key", message, "add `table:`")


def _conf_secrets(pipeline: Pipeline, tree: Fields) -> Found:
    trigger = tree.fields("trigger")
    conf = trigger.fields("conf") if trigger else None
    for way, scalar in walk(conf) if conf else ():
        named = any(is_secret_key(step) for step in way if isinstance(step, str))
        if isinstance(scalar.value, str) and (named or holds_password(scalar.value)):
            message = "a secret cannot travel in conf, where every reader of the DAG sees it"
            yield scalar.place.problem("literal-secret", message, "let the task take an Airflow connection")


def _branches(pipeline: Pipeline, tree: Fields, written: Fields, known: frozenset[str]) -> Found:
    if pipeline.trigger is None:
        return
    watched = {source.source_id for source in pipeline.watched}
    unwatched = {
        source.source_id for source in pipeline.sources if not source.enabled or _quiet(written, source.source_id)
    }
    for way, branch in branches(pipeline.trigger):
        place = find(tree, ("trigger", *way, "source"))
        if branch.source is None or branch.source in watched:
            continue
        if branch.source not in known:
            hint = nearest(branch.source, sorted(known)) or f"sources: {', '.join(sorted(known)[:8])}"
            yield place.problem("unknown-source", f'no source "{branch.source}" in this pipeline', hint)
        elif branch.source in unwatched:
            message = f'source "{branch.source}" is not watched, so this branch is never met'
            yield place.problem("bad-value", message, "watch it, or take the branch out")


def _quiet(written: Fields, source_id: str) -> bool:
    """Whether a source was written not to be watched, rather than has lost its watch to another problem."""
    keys = _keys_of(written, source_id)
    return "source_type" in keys and "watch" not in keys


def _graph(pipeline: Pipeline, tree: Fields, written: Fields) -> Found:
    graph = build_graph(pipeline)
    refused = frozenset(_task_ids(written))
    for problem in graph.problems:
        if problem.code == "cycle":
            yield _cycle(problem, tree)
        elif problem.named not in refused:
            yield _unknown_task(problem, sorted(graph.tasks), tree)
    if _whole(pipeline, written):
        for problem in unreachable(graph):
            yield _unreachable(problem, graph, tree)


def _whole(pipeline: Pipeline, written: Fields) -> bool:
    """Whether nothing that makes a task was refused: with a task missing nobody knows what another waits for."""
    listed = {block: written.get(block) for block in ("sources", "transformations", "validations", "snowflake")}
    return all(
        not isinstance(items, Items) or len(items.items) == len(getattr(pipeline, block))
        for block, items in listed.items()
    )


def _task_ids(tree: Fields) -> Iterator[str]:
    yield from (task_id("ingest", name) for name in _listed(tree, "sources", "source_id"))
    yield from (task_id("transform", name) for name in _listed(tree, "transformations", "model_name"))
    yield from (task_id("snowflake", name) for name in _listed(tree, "snowflake", "name"))
    for key in ("model", "table", "name"):
        yield from (task_id("validate", name) for name in _listed(tree, "validations", key))


def _cycle(problem: GraphProblem, tree: Fields) -> Problem:
    message = f"the tasks wait for each other: {' -> '.join(problem.path)}"
    return find(tree, ("dependencies", problem.task), key=True).problem(
        "cycle", message, "break it at one of these places"
    )


def _unreachable(problem: GraphProblem, graph: Graph, tree: Fields) -> Problem:
    name = problem.task
    rules = {each: graph.tasks[each].trigger_rule for each in problem.path}
    shown = (f"{each} ({rule})" if each == name or rule != "all_success" else each for each, rule in rules.items())
    models = dict(_placed(tree, "transformations", "model_name"))
    place = models.get(graph.tasks[name].subject) if graph.tasks[name].kind == "transform" else None
    dependencies = tree.fields("dependencies")
    own = dependencies is not None and dependencies.get(name) is not None
    way: Way = ("dependencies", name) if own or place is None else ("transformations", place, "trigger_rule")
    message = f"{name} can never start: {' -> '.join(shown)}"
    return find(tree, way, key=True).problem(
        "unreachable-task", message, "change its trigger_rule, or what it waits for"
    )


def _unknown_task(problem: GraphProblem, known: Sequence[str], tree: Fields) -> Problem:
    way: Way = ("dependencies", problem.task)
    if problem.place is not None:
        way = (*way, "after", problem.place)
    hint = nearest(problem.named, list(known)) or f"tasks: {', '.join(known[:8])}"
    place = find(tree, way, key=problem.place is None)
    return place.problem("unknown-task", f'no task "{problem.named}" in this pipeline', hint)
