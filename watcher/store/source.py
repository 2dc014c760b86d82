"""One source as the store has it: where its detector stands and how its looks go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from watcher.detection import Cursor


@dataclass(frozen=True, slots=True)
class SourceState:
    """The row of one source. `revision` counts what was recorded; a detection is stored only on the one it began with.

    `kind` is what is watched, in words that differ when the cursor means something else. `failing_since`, `failures`,
    `code` and `message` are of the present row of failed looks. `row` is the store's own number of the source.
    """

    pipeline: str
    source_id: str
    kind: str
    revision: int
    cursor: Cursor | None
    last_look_at: datetime | None
    last_change_at: datetime | None
    failing_since: datetime | None
    failures: int
    code: str | None
    message: str | None
    row: int


def from_row(pipeline: str, row: Row[Any]) -> SourceState:
    """From a row that has all columns of `source`."""
    return SourceState(
        pipeline=pipeline,
        source_id=row.source_id,
        kind=row.kind,
        revision=row.revision,
        cursor=row.cursor,
        last_look_at=row.last_look_at,
        last_change_at=row.last_change_at,
        failing_since=row.failing_since,
        failures=row.failures,
        code=row.code,
        message=row.message,
        row=row.id,
    )
