"""Airflow's bodies: the official models check them, and what a newer Airflow sends beyond them is still read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from airflow_client.client.models.dag_details_response import DAGDetailsResponse
from airflow_client.client.models.dag_response import DAGResponse
from airflow_client.client.models.dag_run_response import DAGRunResponse
from airflow_client.client.models.health_info_response import HealthInfoResponse
from airflow_client.client.models.import_error_response import ImportErrorResponse
from airflow_client.client.models.trigger_dag_run_post_body import TriggerDAGRunPostBody
from pydantic import ValidationError

from watcher.detection import Json
from watcher.pipeline.definition import read_mark


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What we read of a run. `state` is Airflow's word, known to us or not; `uid` is `conf.watcher.uid`."""

    dag_id: str
    dag_run_id: str
    state: str
    start_date: datetime | None
    end_date: datetime | None
    uid: str | None


@dataclass(frozen=True, slots=True)
class DagFacts:
    """What we read of a DAG: may it be triggered, and where is its file."""

    paused: bool
    stale: bool
    broken: bool
    manual: bool
    file: str | None
    bundle: str | None


@dataclass(frozen=True, slots=True)
class DagState:
    """A DAG as Airflow parsed it last. `fingerprint` is the mark of its definition, None for a DAG that is not generated."""

    dag_id: str
    is_paused: bool
    is_stale: bool
    has_import_errors: bool
    fingerprint: str | None = None
    parsed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TaskTime:
    """One ended attempt of a task: when it began and how many seconds it took."""

    started_at: datetime
    seconds: float


@dataclass(frozen=True, slots=True)
class ImportFacts:
    """One import error: its file, whole trace and time."""

    file: str
    bundle: str | None
    trace: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class HealthFacts:
    """Status words of Airflow's parts; None where a part does not report."""

    metadatabase: str | None
    scheduler: str | None


def trigger_body(dag_run_id: str, conf: Mapping[str, Json], note: str) -> dict[str, Any]:
    """The four keys of a trigger request. Raises ValidationError for a conf that is no mapping."""
    body: dict[str, Any] = TriggerDAGRunPostBody(
        dag_run_id=dag_run_id, logical_date=None, conf=dict(conf), note=note
    ).to_dict()
    return body


def read_run(body: Json) -> RunFacts | None:
    """The run of an answer, or None when it is none."""
    if not isinstance(body, dict):
        return None
    fields = _fields(DAGRunResponse, body, "dag_id", "dag_run_id", "state", "start_date", "end_date", "conf")
    dag_id, run_id, state = _text(fields["dag_id"]), _text(fields["dag_run_id"]), _text(fields["state"])
    if dag_id is None or run_id is None or state is None:
        return None
    return RunFacts(
        dag_id, run_id, state, _moment(fields["start_date"]), _moment(fields["end_date"]), _uid(fields["conf"])
    )


def read_runs(body: Json) -> tuple[tuple[RunFacts, ...], int] | None:
    """The readable runs of a list, and how many it holds in all on every page; None when it is no list of runs."""
    rows = body.get("dag_runs") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(rows, list):
        return None
    runs = tuple(run for row in rows if (run := read_run(row)) is not None)
    total = body.get("total_entries")
    return runs, total if isinstance(total, int) else len(rows)


def read_dag(body: Json) -> DagFacts | None:
    """The DAG of an answer, or None when it is none."""
    if not isinstance(body, dict) or _text(body.get("dag_id")) is None:
        return None
    names = ("is_paused", "is_stale", "has_import_errors", "allowed_run_types", "relative_fileloc", "bundle_name")
    fields = _fields(DAGResponse, body, *names)
    allowed = fields["allowed_run_types"]
    return DagFacts(
        paused=fields["is_paused"] is True,
        stale=fields["is_stale"] is True,
        broken=fields["has_import_errors"] is True,
        manual=not isinstance(allowed, list) or "manual" in {_text(kind) for kind in allowed},
        file=_text(fields["relative_fileloc"]),
        bundle=_text(fields["bundle_name"]),
    )


def read_dag_state(body: Json) -> DagState | None:
    """The state of a DAG's details, or None when they are none."""
    if not isinstance(body, dict) or (dag_id := _text(body.get("dag_id"))) is None:
        return None
    names = ("is_paused", "is_stale", "has_import_errors", "doc_md", "last_parsed_time")
    fields = _fields(DAGDetailsResponse, body, *names)
    return DagState(
        dag_id,
        is_paused=fields["is_paused"] is True,
        is_stale=fields["is_stale"] is True,
        has_import_errors=fields["has_import_errors"] is True,
        fingerprint=read_mark(_text(fields["doc_md"])),
        parsed_at=_moment(fields["last_parsed_time"]),
    )


def read_task_times(body: Json) -> tuple[tuple[TaskTime, ...], int, int] | None:
    """The ended attempts of a list, how many rows it has, and how many there are on all pages; None when it is no list."""
    rows = body.get("task_instances") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(rows, list):
        return None
    total = body.get("total_entries")
    times = tuple(time for row in rows if (time := _task_time(row)) is not None)
    return times, len(rows), total if isinstance(total, int) else len(rows)


def _task_time(row: Json) -> TaskTime | None:
    if not isinstance(row, dict):
        return None
    started, seconds = _moment(row.get("start_date")), row.get("duration")
    if started is None or isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    return TaskTime(started, float(seconds))


def read_import_errors(body: Json) -> tuple[ImportFacts, ...]:
    """The readable import errors of a list; empty when it is none."""
    rows = body.get("import_errors") if isinstance(body, dict) else None
    return tuple(error for row in rows if (error := _import_error(row))) if isinstance(rows, list) else ()


def _import_error(row: Json) -> ImportFacts | None:
    if not isinstance(row, dict):
        return None
    fields = _fields(ImportErrorResponse, row, "filename", "bundle_name", "stack_trace", "timestamp")
    file, trace = _text(fields["filename"]), _text(fields["stack_trace"])
    if file is None or trace is None:
        return None
    return ImportFacts(file, _text(fields["bundle_name"]), trace, _moment(fields["timestamp"]))


def read_health(body: Json) -> HealthFacts | None:
    """The health of an answer, or None when it is none: Airflow 3 always names its metadata database."""
    if not isinstance(body, dict) or not isinstance(body.get("metadatabase"), dict):
        return None
    fields = _fields(HealthInfoResponse, body, "metadatabase", "scheduler")
    return HealthFacts(_status(fields["metadatabase"]), _status(fields["scheduler"]))


def _fields(model: Any, body: Mapping[str, Json], *names: str) -> dict[str, Any]:
    """The named fields, typed where the official model knows the answer, raw where Airflow is newer than the model."""
    try:
        checked = model.model_validate(body)
    except (ValidationError, RecursionError):
        return {name: body.get(name) for name in names}
    return {name: getattr(checked, name, None) for name in names}


def _text(value: object) -> str | None:
    if isinstance(value, Enum):
        value = value.value
    return value if isinstance(value, str) else None


def _moment(value: object) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


def _status(part: object) -> str | None:
    return _text(part.get("status") if isinstance(part, dict) else getattr(part, "status", None))


def _uid(conf: object) -> str | None:
    ours = conf.get("watcher") if isinstance(conf, dict) else None
    return _text(ours.get("uid")) if isinstance(ours, dict) else None
