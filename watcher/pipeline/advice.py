"""Warnings: what is valid and yet seldom meant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final, TypeAlias

from watcher.pipeline.model import Pipeline
from watcher.pipeline.problems import Problem
from watcher.pipeline.sources import FilesystemSource
from watcher.pipeline.tree import Fields, Way, find
from watcher.pipeline.trigger import NO_TRIGGER, Limits, Trigger, branches
from watcher.pipeline.values import format_duration
from watcher.pipeline.watches import TableTimestamp

SHUTDOWN_GRACE: Final = timedelta(seconds=25)
"""The default time that the daemon has to stop in."""
Advice: TypeAlias = Iterator[tuple[Way, str, str]]


def advise(pipeline: Pipeline, tree: Fields) -> tuple[Problem, ...]:
    """Every warning about a valid pipeline, in the order of this module."""
    trigger = pipeline.trigger
    found: list[tuple[Way, str, str]] = []
    for about_pipeline in _ABOUT_PIPELINES:
        found += about_pipeline(pipeline)
    for about_trigger in _ABOUT_TRIGGERS if trigger is not None else ():
        found += about_trigger(pipeline, trigger) if trigger else ()
    return tuple(
        find(tree, way, key=True).problem("bad-value", message, hint, "warning") for way, message, hint in found
    )


def _all_limits(trigger: Trigger) -> Iterator[tuple[Way, Limits]]:
    yield ("trigger",), trigger
    yield from ((("trigger", *way), branch) for way, branch in branches(trigger))


def _within(_: Pipeline, trigger: Trigger) -> Advice:
    for way, limits in _all_limits(trigger):
        if limits.within is not None and trigger.max_wait is None:
            yield (
                (*way, "within"),
                "within without max_wait: a slow trickle of changes may never run",
                "add `max_wait:`",
            )


def _settle(_: Pipeline, trigger: Trigger) -> Advice:
    if trigger.max_wait is not None and trigger.settle >= trigger.max_wait:
        yield (
            ("trigger", "settle"),
            "settle is not shorter than max_wait, which then always ends it",
            "make settle shorter",
        )


def _one_change(_: Pipeline, trigger: Trigger) -> Advice:
    written = "changes" in trigger.model_fields_set and trigger.changes == 1
    if written and not trigger.cooldown and not trigger.settle:
        yield (
            ("trigger", "changes"),
            "changes: 1 without cooldown: a busy source starts run after run",
            "add `cooldown:`",
        )


def _all_branch(_: Pipeline, trigger: Trigger) -> Advice:
    if trigger.max_wait is not None:
        return
    for way, limits in _all_limits(trigger):
        if limits.all is not None:
            yield (
                (*way, "all"),
                "all without max_wait: while one branch waits, the others wait for ever",
                "add `max_wait:`",
            )


def _queue(pipeline: Pipeline, trigger: Trigger) -> Advice:
    if trigger.while_running == "queue" and pipeline.max_active_runs == 1:
        message = "queue with max_active_runs: 1: runs pile up in Airflow"
        yield ("trigger", "while_running"), message, "take `while_running: coalesce`"


def _untriggered(pipeline: Pipeline, trigger: Trigger) -> Advice:
    limits = [limits for _, limits in _all_limits(trigger) if limits.limited]
    named = {getattr(each, "source", None) for each in limits}
    if not limits or None in named:
        return
    for place, source in enumerate(pipeline.sources):
        if source in pipeline.watched and source.source_id not in named:
            message = f'no limit of the trigger counts the changes of "{source.source_id}"'
            yield ("sources", place, "source_id"), message, "add a branch for it, or `watch: false`"


def _nothing_watched(pipeline: Pipeline, trigger: Trigger) -> Advice:
    if not pipeline.watched and trigger is not NO_TRIGGER:
        yield (
            ("trigger",),
            "no source is watched, so the trigger never fires",
            "watch a source, or take the trigger out",
        )


def _summary(pipeline: Pipeline, trigger: Trigger) -> Advice:
    if trigger.payload == "summary" and pipeline.generated:
        for place, source in enumerate(pipeline.sources):
            if isinstance(source, FilesystemSource) and source in pipeline.watched:
                message = "payload: summary: the run is not told which files changed, so it loads all of them"
                yield ("trigger", "payload"), message, f"take `payload: files` for {pipeline.sources[place].source_id}"


def _timeout(pipeline: Pipeline) -> Advice:
    for place, source in enumerate(pipeline.sources):
        if source.watch is not None and source.watch.timeout > SHUTDOWN_GRACE:
            message = f"timeout is longer than the {format_duration(SHUTDOWN_GRACE)} the daemon has for stopping"
            yield ("sources", place, "watch", "timeout"), message, "a look in hand is then broken off and repeated"


def _deletes(pipeline: Pipeline) -> Advice:
    for place, source in enumerate(pipeline.sources):
        asked = {"delete", "truncate"} & set(source.watch.operations) if source.watch else set()
        if asked and isinstance(source.watch, TableTimestamp) and "operations" in source.watch.model_fields_set:
            yield (
                ("sources", place, "watch", "operations"),
                "method timestamp cannot see deletes",
                "they are never counted",
            )


def _append(pipeline: Pipeline) -> Advice:
    for place, source in enumerate(pipeline.sources):
        ingest = source.ingest
        if (
            pipeline.generated
            and ingest is not None
            and ingest.write_disposition == "append"
            and not ingest.primary_key
        ):
            message = "append without primary_key: ranges of two runs may overlap, and a repeated run loads twice"
            yield ("sources", place, "ingest", "write_disposition"), message, "take merge with a primary_key"


def _idle_ingest(pipeline: Pipeline) -> Advice:
    for place, source in enumerate(pipeline.sources):
        if not pipeline.generated and source.ingest is not None:
            yield ("sources", place, "ingest"), "ingest has no effect: dag_id names an existing DAG", "take it out"


_ABOUT_PIPELINES: Final[tuple[Callable[[Pipeline], Advice], ...]] = (_timeout, _deletes, _append, _idle_ingest)
_ABOUT_TRIGGERS: Final[tuple[Callable[[Pipeline, Trigger], Advice], ...]] = (
    _within,
    _settle,
    _one_change,
    _all_branch,
    _queue,
    _untriggered,
    _nothing_watched,
    _summary,
)
