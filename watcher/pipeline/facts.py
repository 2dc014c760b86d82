"""A batch as facts, and its names: what the store knows and what conf and note are made of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from watcher.detection import FileChange, Json, Range
from watcher.errors import WatcherError

_RUN_ID: Final = re.compile(r"watcher__\d{8}T\d{6}Z__b\d{6,}", re.ASCII)
_RUN_ID_LENGTH: Final = 64


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What one source gave to a batch. `files` are all file changes in the order in which they were found."""

    source_id: str
    changes: int
    bytes: int
    operations: Mapping[str, int]
    cursor_from: Json = None
    cursor_to: Json = None
    range: Range | None = None
    files: tuple[FileChange, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchFacts:
    """One batch with its sources. Times are aware; `uid` is 32 hex digits that no other batch has."""

    number: int
    uid: str
    pipeline: str
    dag_id: str
    dag_run_id: str
    reason: str
    fired_at: datetime
    first_change_at: datetime | None = None
    last_change_at: datetime | None = None
    sources: tuple[SourceFacts, ...] = ()


def batch_name(number: int) -> str:
    """The name of a batch everywhere.

    >>> batch_name(17)
    'b000017'
    """
    return f"b{number:06d}"


def make_run_id(fired_at: datetime, number: int) -> str:
    """The id of the run that a batch becomes; `fired_at` is aware. Raises WatcherError when Airflow would not take it.

    >>> make_run_id(datetime(2026, 11, 22, 14, 10, 6, tzinfo=UTC), 17)
    'watcher__20261122T141006Z__b000017'
    """
    run_id = f"watcher__{fired_at.astimezone(UTC):%Y%m%dT%H%M%SZ}__{batch_name(number)}"
    if fired_at.tzinfo is None or not is_run_id(run_id):
        raise WatcherError(f"batch {number} fired at {fired_at.isoformat()} gives no run id", code="internal")
    return run_id


def is_run_id(text: str) -> bool:
    """Whether this is the id of a run of ours: safe in URLs, in log paths and for Airflow's default pattern."""
    return len(text) <= _RUN_ID_LENGTH and _RUN_ID.fullmatch(text) is not None
