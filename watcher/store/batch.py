"""One batch as the store has it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Row, Select, select

from watcher.decide import Condition
from watcher.store import schema

State = Literal["ready", "confirmed", "parked", "succeeded", "failed", "vanished", "discarded"]
OPEN: tuple[State, ...] = ("ready", "confirmed")
"""States in which a batch still moves by itself."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The detections that go to one run; `uid` is 128 random bits that prove a run to be ours.

    `unknown`: an attempt ended, or may still end, without an answer. `next_at` is the earliest next attempt. `code` and
    `detail` say what last stood in the way. `run_state`, `started_at` and `ended_at` are Airflow's words and times.
    `sent_at` is the last attempt, `answer` the one that confirmed it, `changed_at` the last move of the batch.
    """

    number: int
    uid: str
    pipeline: str
    dag_id: str
    dag_run_id: str
    state: State
    unknown: bool
    reason: str
    kind: str
    because: tuple[Condition, ...]
    fired_at: datetime
    attempts: int
    next_at: datetime
    code: str | None
    detail: str
    changes: int
    bytes: int
    files: int
    first_change_at: datetime | None
    last_change_at: datetime | None
    confirmed_at: datetime | None
    run_state: str | None
    started_at: datetime | None
    ended_at: datetime | None
    sent_at: datetime | None
    answer: str | None
    changed_at: datetime


_DIRECT = tuple(name for name in Batch.__dataclass_fields__ if name not in ("pipeline", "because"))


def selected() -> Select[Any]:
    """All columns of `batch` and the name of its pipeline, for `from_row`."""
    return select(schema.batch, schema.pipeline.c.name.label("pipeline")).join(schema.pipeline)


def from_row(row: Row[Any], pipeline: str | None = None) -> Batch:
    """From a row of `selected`, or of `batch` alone with the name of its pipeline."""
    because = tuple(Condition(**condition) for condition in row.because)
    return Batch(
        **{name: getattr(row, name) for name in _DIRECT},
        pipeline=row.pipeline if pipeline is None else pipeline,
        because=because,
    )


def because_as_json(because: Iterable[Condition]) -> list[dict[str, Any]]:
    """What `from_row` makes conditions of again."""
    return [{"name": line.name, "text": line.text, "met": line.met} for line in because]
