"""Connections and sources: where each connection was found, and one look through the very detector the daemon uses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from watcher.connections import Connection, Connections
from watcher.detection import Detection, Detector, Known
from watcher.detectors import Context, make_detector
from watcher.doctor.finding import Finding, failed
from watcher.errors import ConfigError, SourceError, WatcherError
from watcher.pipeline.model import FilesystemSource, Pipeline, Source

AT_ONCE = 8
LIMIT = 1
"""A look is asked for one change: whether it works is the question, not what changed."""


def look_at_connections(connections: Connections, pipelines: Sequence[Pipeline]) -> list[Finding]:
    """One line for each connection that a watched source names."""
    users: dict[str, list[str]] = {}
    for pipeline in pipelines:
        for source in pipeline.watched:
            if source.connection is not None:
                users.setdefault(source.connection, []).append(f"{pipeline.name}/{source.source_id}")
    return [_of_connection(connections, name, used_by) for name, used_by in sorted(users.items())]


def _of_connection(connections: Connections, name: str, used_by: Sequence[str]) -> Finding:
    shown = ", ".join(used_by[:3]) + (f" and {len(used_by) - 3} more" if len(used_by) > 3 else "")
    try:
        found = connections.find(name)
    except ConfigError as error:
        return failed("connections", ConfigError(f"{error}; used by {shown}", code=error.code), subject=name)
    return Finding("connections", f"from {found.where}; used by {shown}", subject=name)


async def look_at_sources(connections: Connections, pipelines: Sequence[Pipeline], seconds: float) -> list[Finding]:
    """One look at each watched source, a few at a time, nothing stored. A look ends after `seconds` or its own timeout."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(pipeline: Pipeline, source: Source) -> Finding:
        async with turns:
            return await _of_source(connections, pipeline, source, seconds)

    watched = [(pipeline, source) for pipeline in pipelines for source in pipeline.watched]
    return list(await asyncio.gather(*(one(*each) for each in watched)))


async def _of_source(connections: Connections, pipeline: Pipeline, source: Source, seconds: float) -> Finding:
    begun = time.monotonic()
    try:
        connection = connections.find(source.connection) if source.connection is not None else None
        detector = make_detector(source, Context(connection.url if connection else None))
        try:
            await _look(detector, source, seconds)
        finally:
            await detector.close()
    except WatcherError as error:
        return failed("sources", error, subject=source.source_id, pipeline=pipeline.name)
    took = f"a look took {time.monotonic() - begun:.2f} s"
    return Finding("sources", f"{_place(source, connection)}; {took}", subject=source.source_id, pipeline=pipeline.name)


async def _look(detector: Detector, source: Source, seconds: float) -> Detection:
    assert source.watch is not None  # noqa: S101 - only watched sources are looked at
    limit = min(seconds, source.watch.timeout.total_seconds())
    try:
        async with asyncio.timeout(limit):
            return await detector.detect(None, _Nothing(), LIMIT)
    except TimeoutError as error:
        raise SourceError(f"no answer within {limit:g} s", code="source-slow") from error


def _place(source: Source, connection: Connection | None) -> str:
    if connection is not None:
        return f"connection {connection.connection_id} from {connection.where}"
    return f"folder {source.path}" if isinstance(source, FilesystemSource) else source.source_type


class _Nothing:
    """The inventory of a source that was never looked at."""

    async def read(self) -> dict[str, Known]:
        return {}
