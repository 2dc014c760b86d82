"""Airflow's rules for a trigger request, in Airflow's order and words, and the shapes of its runs and DAGs."""

from __future__ import annotations

import json
import re
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

RESERVED = ("scheduled", "backfill", "asset_triggered", "operator_triggered", "asset_materialization")
PATTERN = r"^[A-Za-z0-9_.~:+-]+$"
_KEYS = (
    "dag_run_id",
    "data_interval_start",
    "data_interval_end",
    "logical_date",
    "run_after",
    "conf",
    "note",
    "partition_key",
)


@dataclass
class FakeDag:
    """A DAG that was parsed at least once. `params` are parts of a JSON schema; without `default` a value is required."""

    dag_id: str
    paused: bool = False
    stale: bool = False
    broken: bool = False
    allowed_run_types: list[str] | None = None
    params: dict[str, dict[str, Any]] = field(default_factory=dict)
    file: str = ""
    forbidden: bool = False
    doc_md: str | None = None
    times: dict[str, list[tuple[datetime, float]]] = field(default_factory=dict)
    """task_id -> when each of its attempts began and how long it took, in seconds."""

    def body(self) -> dict[str, Any]:
        """As GET answers it."""
        optional = dict.fromkeys(
            (
                "description",
                "bundle_version",
                "last_expired",
                "max_active_runs",
                "next_dagrun_data_interval_end",
                "next_dagrun_data_interval_start",
                "next_dagrun_logical_date",
                "next_dagrun_run_after",
                "timetable_description",
            )
        )
        return optional | {
            "dag_id": self.dag_id,
            "dag_display_name": self.dag_id,
            "is_paused": self.paused,
            "is_stale": self.stale,
            "has_import_errors": self.broken,
            "allowed_run_types": self.allowed_run_types,
            "bundle_name": "dags-folder",
            "file_token": "token",
            "fileloc": f"/dags/{self.relative_file}",
            "relative_fileloc": self.relative_file,
            "has_task_concurrency_limits": False,
            "is_backfillable": False,
            "last_parsed_time": moment(),
            "last_parse_duration": 0.1,
            "max_active_runs": 16,
            "max_active_tasks": 16,
            "max_consecutive_failed_dag_runs": 0,
            "owners": ["airflow"],
            "tags": [],
            "timetable_partitioned": False,
            "timetable_periodic": False,
            "timetable_summary": None,
        }

    def details(self) -> dict[str, Any]:
        """As GET .../details answers it."""
        names = ("asset_expression", "dag_run_timeout", "end_date", "owner_links", "params", "start_date", "timezone")
        empty = dict.fromkeys((*names, "default_args", "template_search_path", "last_parsed"))
        flags = {"catchup": False, "is_paused_upon_creation": False, "render_template_as_native_obj": False}
        counts = {"active_runs_count": 0, "is_favorite": False, "concurrency": 16, "latest_dag_version": None}
        return self.body() | empty | flags | counts | {"doc_md": self.doc_md}

    def task_instances(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """Those of one task that began at `start_date_gte` or later, the newest first."""
        since = datetime.fromisoformat(query.get("start_date_gte", "1970-01-01T00:00:00+00:00"))
        found = [time for time in self.times.get(query.get("task_id", ""), []) if time[0] >= since]
        return [
            {"dag_id": self.dag_id, "task_id": query["task_id"], "start_date": moment(at), "duration": seconds}
            for at, seconds in sorted(found, reverse=True)
        ]

    @property
    def relative_file(self) -> str:
        return self.file or f"{self.dag_id}.py"


class RefusedError(Exception):
    """An answer other than success."""

    def __init__(self, status: int, detail: object, *, key: str = "detail") -> None:
        super().__init__(status)
        self.status = status
        self.body = {key: detail}


def database_body(reason: str) -> dict[str, Any]:
    """The detail of every database error, the unique key's too."""
    lookup = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(8))
    return {
        "reason": reason,
        "statement": "hidden",
        "orig_error": "hidden",
        "message": "Serious error when handling your request. Check logs for more details - "
        f"you will find it in api server when you look for ID {lookup}",
    }


def moment(at: datetime | None = None) -> str:
    return (at or datetime.now(UTC)).isoformat().replace("+00:00", "Z")


def check_shape(raw: bytes, content_type: str) -> dict[str, Any]:
    """The body of a trigger request. Raises RefusedError 422 as the framework does, before anything else is looked at."""
    if content_type != "application/json":
        raise _problem(
            "model_attributes_type", [], "Input should be a valid dictionary or object to extract fields from"
        )
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise _problem("json_invalid", [0], "JSON decode error") from error
    for key in body:
        if key not in _KEYS:
            raise _problem("extra_forbidden", [key], "Extra inputs are not permitted")
    if "logical_date" not in body:
        raise _problem("missing", ["logical_date"], "Field required")
    if isinstance(date := body["logical_date"], str) and datetime.fromisoformat(date).tzinfo is None:
        raise _problem("timezone_aware", ["logical_date"], "Input should have timezone info")
    if not isinstance(body.get("conf", {}), dict | None):
        raise _problem("dict_type", ["conf"], "Input should be a valid dictionary")
    return dict(body)


def _problem(kind: str, place: list[Any], message: str) -> RefusedError:
    return RefusedError(422, [{"type": kind, "loc": ["body", *place], "msg": message, "input": {}}])


def check_dag(dag: FakeDag | None, dag_id: str) -> FakeDag:
    """The DAG if it can be triggered at all. A stale one is answered as one that never was."""
    if dag is None or dag.stale:
        raise RefusedError(404, f"Dag with dag_id: '{dag_id}' not found")
    if dag.broken:
        raise RefusedError(400, f"Dag with dag_id: '{dag_id}' has import errors and cannot be triggered")
    if dag.allowed_run_types is not None and "manual" not in dag.allowed_run_types:
        raise RefusedError(400, f"Dag with dag_id: '{dag_id}' does not allow manual runs")
    return dag


def check_run(dag: FakeDag, body: dict[str, Any]) -> str:
    """The run id. Raises RefusedError 400 for id and params; both are looked at before the unique key is."""
    if body.get("partition_key") is not None:
        raise RefusedError(400, f"Dag with dag_id: '{dag.dag_id}' is not a partitioned Dag")
    run_id = body.get("dag_run_id") or f"manual__{moment()}_{secrets.token_hex(4)}"
    if ".." in run_id:
        raise RefusedError(400, f"The run_id '{run_id}' must not contain '..' to prevent path traversal")
    # `match`, as Airflow does: a trailing newline gets through.
    if not re.match(PATTERN, run_id):
        text = f"The run_id provided '{run_id}' does not match regex pattern '{PATTERN}' or '{PATTERN}'"
        raise RefusedError(400, text)
    for kind in RESERVED:
        if run_id.startswith(f"{kind}__"):
            raise RefusedError(400, f"A manual DAG run cannot use ID {run_id!r} since it is reserved for {kind} runs")
    _check_params(dag, body.get("conf") or {})
    return str(run_id)


def _check_params(dag: FakeDag, conf: dict[str, Any]) -> None:
    for name, schema in dag.params.items():
        value = conf.get(name, schema.get("default"))
        if value is None:
            raise RefusedError(400, f"Invalid input for param {name}: No value passed")
        if "maximum" in schema and value > schema["maximum"]:
            most = schema["maximum"]
            tail = f"\n\nFailed validating 'maximum' in schema:\n    {schema}\n\nOn instance:\n    {value}"
            raise RefusedError(
                400, f"Invalid input for param {name}: {value} is greater than the maximum of {most}{tail}"
            )


def run_body(dag_id: str, run_id: str, body: dict[str, Any], user: str, *, ui: bool) -> dict[str, Any]:
    """A run just made, as POST and GET answer it."""
    empty = ("bundle_version", "data_interval_end", "data_interval_start", "duration", "end_date", "start_date")
    later = ("last_scheduling_decision", "partition_date", "partition_key")
    return dict.fromkeys((*empty, *later)) | {
        "dag_id": dag_id,
        "dag_display_name": dag_id,
        "dag_run_id": run_id,
        "dag_versions": [],
        "conf": body.get("conf") or {},
        "note": body.get("note"),
        "logical_date": body["logical_date"],
        "queued_at": moment(),
        "run_after": moment(),
        "run_type": "manual",
        "state": "queued",
        "triggered_by": "ui" if ui else "rest_api",
        "triggering_user_name": user,
    }


def prefix_finds(pattern: str, run_id: str) -> bool:
    """`run_id_prefix_pattern`: terms by `|`, a range scan that drops trailing punctuation and so finds more than it should."""
    terms = [term.strip() for term in pattern.split("|") if term.strip()]
    return any(_in_range(term, run_id) for term in terms)


def _in_range(term: str, run_id: str) -> bool:
    low = term.rstrip("".join(set(term) - set(string.ascii_letters + string.digits)))
    high = low
    while high and not chr(ord(high[-1]) + 1).isalnum():
        high = high[:-1].rstrip(string.punctuation)
    if not low:
        return True
    return run_id >= low and (not high or run_id < high[:-1] + chr(ord(high[-1]) + 1))
