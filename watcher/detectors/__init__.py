"""The registry of detectors: for each kind of `watch:` the class that looks, made for one source."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from watcher.detection import Detector
from watcher.detectors.filesystem import FilesystemDetector
from watcher.detectors.table import PollingDetector, RowsDetector, TimestampDetector
from watcher.errors import ConfigError
from watcher.pipeline.model import (
    DatabaseSource,
    FilesystemSource,
    FilesystemWatch,
    Source,
    TablePolling,
    TableTimestamp,
    Watch,
)


@dataclass(frozen=True, slots=True)
class Context:
    """What a detector needs beside the pipeline file. `connection_url` holds credentials: it is never shown."""

    connection_url: str | None = None

    def __repr__(self) -> str:
        return f"Context(connection_url={'None' if self.connection_url is None else '***'})"


def make_detector(source: Source, context: Context) -> Detector:
    """The detector of a watched source; nothing is opened yet.

    Raises ConfigError `not-available` for a method this version has no detector for, `unknown-connection` for a database
    source without a connection.
    """
    make = _REGISTRY.get(type(source.watch))
    if make is None:
        method = getattr(source.watch, "method", "none")
        raise ConfigError(f"source {source.source_id}: there is no detector for method {method}", code="not-available")
    return make(source, context)


def available(watch_class: type[Watch]) -> bool:
    """Whether this version has a detector for this kind of `watch:`."""
    return watch_class in _REGISTRY


def identity(source: Source) -> str:
    """What is watched and how, as text without secrets: when it differs, cursor and inventory mean nothing any more."""
    facts = source.model_dump(mode="json", include=_IDENTITY_OF_SOURCE)
    facts["watch"] = None if source.watch is None else source.watch.model_dump(mode="json", include=_IDENTITY_OF_WATCH)
    if isinstance(source, FilesystemSource):
        del facts["watch"]["method"]  # events or scans: the inventory is the same
    return json.dumps({key: value for key, value in facts.items() if value is not None}, sort_keys=True)


def _table_timestamp(source: Any, context: Context) -> Detector:
    return TimestampDetector(source, source.watch, _url(source, context))


def _table_polling(source: Any, context: Context) -> Detector:
    made = RowsDetector if source.watch.compare == "rows" else PollingDetector
    return made(source, source.watch, _url(source, context))


def _filesystem(source: FilesystemSource, _: Context) -> Detector:
    if "://" in source.path:
        message = f"source {source.source_id}: there is no detector for object stores, only for folders"
        raise ConfigError(message, code="not-available")
    return FilesystemDetector(source)


def _url(source: DatabaseSource, context: Context) -> str:
    if context.connection_url is None:
        raise ConfigError(f"source {source.source_id}: a database source needs a connection", code="unknown-connection")
    return context.connection_url


_REGISTRY: Mapping[type, Callable[[Any, Context], Detector]] = {
    TableTimestamp: _table_timestamp,
    TablePolling: _table_polling,
    FilesystemWatch: _filesystem,
}

_IDENTITY_OF_SOURCE = {
    "source_type", "connection", "table", "tables", "query", "path", "pattern", "ignore", "endpoint", "detector"
}  # fmt: skip
_IDENTITY_OF_WATCH = {"method", "column", "key", "query", "compare", "select", "hash", "slot"}
