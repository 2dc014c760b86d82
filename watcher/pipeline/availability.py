"""What is valid and cannot be done by this version yet: one line each, deleted by the release that brings it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from watcher.pipeline.model import Pipeline
from watcher.pipeline.problems import Problem
from watcher.pipeline.sources import ApiSource, CustomSource, FilesystemSource, Source
from watcher.pipeline.tree import Fields, Way, find
from watcher.pipeline.watches import TableLog

_Asks: TypeAlias = Callable[[Pipeline, Source], bool]

ABOUT_SOURCES: Final[tuple[tuple[Way, str, _Asks], ...]] = (
    (("source_type",), "watching a source of type api", lambda _, source: _watches(source, ApiSource)),
    (("source_type",), "watching a source of type custom", lambda _, source: _watches(source, CustomSource)),
    (
        ("source_type",),
        "loading a source of type custom without ingest.resource",
        lambda pipeline, source: pipeline.generated and isinstance(source, CustomSource) and _silent(source),
    ),
    (("watch", "method"), "watch method log", lambda _, source: isinstance(source.watch, TableLog)),
    (("watch", "confirm"), "confirm above 1", lambda _, source: source.watch is not None and source.watch.confirm > 1),
    (
        ("path",),
        "a folder in an object store",
        lambda _, source: isinstance(source, FilesystemSource) and "://" in source.path,
    ),
    (("freshness",), "freshness", lambda _, source: source.freshness is not None),
)
"""Where the caret belongs in a source, what it asks for, and whether it does."""

ABOUT_PIPELINES: Final[tuple[tuple[Way, str, Callable[[Pipeline], object]], ...]] = (
    (("trigger", "payload"), "payload: keys", lambda pipeline: pipeline.payload == "keys"),
    (
        ("trigger", "commit"),
        "commit: on_success",
        lambda pipeline: getattr(pipeline.trigger, "commit", "") == "on_success",
    ),
    (("monitoring", "expected_duration"), "expected_duration", lambda pipeline: pipeline.monitoring.expected_duration),
    (("monitoring", "labels"), "labels of metrics", lambda pipeline: pipeline.monitoring.labels),
    (("alerting", "when"), "alerting.when", lambda pipeline: pipeline.alerting.when),
    (("alerting", "notify"), "alerting.notify", lambda pipeline: pipeline.alerting.notify),
)
"""Where the caret belongs in a pipeline, what it asks for, and whether it does."""


def unavailable(pipeline: Pipeline, tree: Fields) -> tuple[Problem, ...]:
    """A problem for each thing that a valid pipeline asks of a later version."""
    return tuple(
        find(tree, way).problem("not-available", f"{asked} is not available in this version yet", "take it out for now")
        for way, asked in _asked(pipeline)
    )


def _asked(pipeline: Pipeline) -> Iterator[tuple[Way, str]]:
    for way, asked, asks_source in ABOUT_SOURCES:
        for place, source in enumerate(pipeline.sources):
            if source.enabled and asks_source(pipeline, source):
                yield ("sources", place, *way), asked
    for way, asked, asks in ABOUT_PIPELINES:
        if asks(pipeline):
            yield way, asked


def _watches(source: Source, kind: type[Source]) -> bool:
    return isinstance(source, kind) and source.watch is not None


def _silent(source: Source) -> bool:
    """Whether neither the daemon looks at a source nor anything says how it is loaded."""
    return source.watch is None and (source.ingest is None or source.ingest.resource is None)
