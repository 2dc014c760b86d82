"""Airflow's measured answers, one row each: how to provoke it, what came back, and what we take it for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from watcher.airflow_api.answers import Finding

GOOD, PAUSED, LIMITED, NEEDY, BROKEN = (f"contract_{n}" for n in ("good", "paused", "limited", "needy", "broken"))
MARK = "0123456789abcdef"
"""The mark of a definition, on the page of the good DAG."""

RUN = "<run>"
"""Stands for a run id that nobody used."""

DATABASE = (
    '{"detail":{"reason":"%s","statement":"hidden","orig_error":"hidden","message":"Serious error when handling your '
    'request. Check logs for more details - you will find it in api server when you look for ID xYz01234"}}'
)


@dataclass(frozen=True)
class Send:
    """A request. `body` is JSON unless it is text; `token` is one of good, none, garbage, tampered, foreign, early,
    expired, leeway, viewer; `before` are bodies of runs that are triggered first, with good answers."""

    method: str = "POST"
    path: str = f"/api/v2/dags/{GOOD}/dagRuns"
    body: Any = None
    token: str = "good"
    content_type: str = "application/json"
    before: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Row:
    """`text` is the part of the recorded body that the live answer has too; None where only the status is fixed."""

    name: str
    status: int
    finding: Finding
    recorded: str = "{}"
    text: str | None = None
    send: Send | None = None
    content_type: str = "application/json"


def run(**more: Any) -> dict[str, Any]:
    """A good trigger body, changed."""
    return {"dag_run_id": RUN, "logical_date": None, "conf": {}} | more


def _detail(text: str) -> str:
    return json.dumps({"detail": text})


def refused(name: str, status: int, finding: Finding, text: str, send: Send | None = None) -> Row:
    """A row whose whole body is one text."""
    return Row(name, status, finding, _detail(text), text.splitlines()[0], send)


def unfit(name: str, kind: str, place: str, message: str, send: Send) -> Row:
    """A row whose body is the framework's list of problems."""
    body = {"detail": [{"type": kind, "loc": ["body", place], "msg": message, "input": {}}]}
    return Row(name, 422, Finding.REFUSED, json.dumps(body), kind, send)


LOGIN = "/auth/token"
BAD_LOGIN = {"username": "watcher", "password": "wrong"}

TOKENS = (
    refused(
        "wrong password", 401, Finding.TOKEN, "Invalid credentials", Send(path=LOGIN, body=BAD_LOGIN, token="none")
    ),
    refused(
        "unknown user", 401, Finding.TOKEN, "Invalid credentials", Send(path=LOGIN, body=BAD_LOGIN | {"username": "x"})
    ),
    refused(
        "login without password",
        422,
        Finding.REFUSED,
        "1 validation error for LoginBody\npassword\n  Field required",
        Send(path=LOGIN, body={"username": "watcher"}, token="none"),
    ),
    Row(
        "login with malformed JSON",
        500,
        Finding.FAILED,
        "Internal Server Error",
        "Internal Server Error",
        Send(path=LOGIN, body="{", token="none"),
        "text/plain",
    ),
    Row(
        "login as text",
        415,
        Finding.REFUSED,
        _detail("Only application/json or application/x-www-form-urlencoded is supported."),
        "nly application/json or application/x-www-form-urlencoded",
        Send(path=LOGIN, body="x", content_type="text/plain", token="none"),
    ),
    refused(
        "login without credentials",
        403,
        Finding.FORBIDDEN,
        "This method is only allowed if ``[core] simple_auth_manager_all_admins`` is True",
        Send("GET", LOGIN, token="none"),
    ),
    refused("no token", 401, Finding.TOKEN, "Not authenticated", Send(body=run(), token="none")),
    refused("garbage token", 403, Finding.TOKEN, "Invalid JWT token", Send(body=run(), token="garbage")),
    refused("tampered token", 403, Finding.TOKEN, "Invalid JWT token", Send(body=run(), token="tampered")),
    refused("token of another secret", 403, Finding.TOKEN, "Invalid JWT token", Send(body=run(), token="foreign")),
    refused("token from the future", 403, Finding.TOKEN, "Invalid JWT token", Send(body=run(), token="early")),
    refused("expired token", 401, Finding.TOKEN, "Token Expired", Send(body=run(), token="expired")),
    Row("token expired 5 s ago", 200, Finding.OK, '{"dag_run_id": "x"}', '"queued"', Send(body=run(), token="leeway")),
    refused("no right on this DAG", 403, Finding.FORBIDDEN, "Forbidden", Send(body=run(), token="viewer")),
)

DATED = "2021-03-04T05:06:07Z"
CONFLICT = DATABASE % "Unique constraint violation"


def _to(dag_id: str, **more: Any) -> Send:
    return Send(path=f"/api/v2/dags/{dag_id}/dagRuns", body=run(**more))


def _accepted(name: str, send: Send) -> Row:
    return Row(name, 200, Finding.OK, '{"dag_run_id": "x", "state": "queued"}', '"queued"', send)


TRIGGERS = (
    _accepted("accepted", Send(body=run())),
    _accepted("paused DAG", _to(PAUSED)),
    _accepted("null conf", Send(body=run(conf=None))),
    _accepted("a key that is no param", _to(LIMITED, conf={"other": 1})),
    _accepted("conf of 64 KiB", Send(body=run(conf={"text": "x" * 65536}))),
    _accepted("an integer beyond 64 bits", Send(body=run(dag_run_id=RUN, conf={"n": 2**70}))),
    refused(
        "unknown DAG", 404, Finding.DAG_MISSING, "Dag with dag_id: 'contract_none' not found", _to("contract_none")
    ),
    refused("broken DAG", 404, Finding.DAG_MISSING, f"Dag with dag_id: '{BROKEN}' not found", _to(BROKEN)),
    refused(
        "import errors but not stale",
        400,
        Finding.DAG_BROKEN,
        "Dag with dag_id: 'x' has import errors and cannot be triggered",
    ),
    refused("manual runs not allowed", 400, Finding.REFUSED, "Dag with dag_id: 'x' does not allow manual runs"),
    Row(
        "same run id again",
        409,
        Finding.EXISTS,
        CONFLICT,
        "Unique constraint violation",
        Send(body=run(), before=(run(),)),
    ),
    Row(
        "same run id, other conf",
        409,
        Finding.EXISTS,
        CONFLICT,
        "Unique constraint violation",
        Send(body=run(conf={"a": 1}), before=(run(),)),
    ),
    Row(
        "same logical date, other run id",
        409,
        Finding.EXISTS,
        CONFLICT,
        "Unique constraint violation",
        Send(body=run(logical_date=DATED), before=(run(dag_run_id=f"{RUN}0", logical_date=DATED),)),
    ),
    Row("locked database", 500, Finding.FAILED, DATABASE % "Database error", None),
    refused(
        "params refused though the run exists",
        400,
        Finding.PARAMS,
        "Invalid input for param n: 33 is greater than the maximum of 10",
        Send(path=f"/api/v2/dags/{LIMITED}/dagRuns", body=run(conf={"n": 33}), before=(run(conf={"n": 3}),)),
    ),
    refused(
        "params refused",
        400,
        Finding.PARAMS,
        "Invalid input for param n: 33 is greater than the maximum of 10\n\nFailed validating",
        _to(LIMITED, conf={"n": 33}),
    ),
    refused("required param missing", 400, Finding.PARAMS, "Invalid input for param must: No value passed", _to(NEEDY)),
    unfit("logical date missing", "missing", "logical_date", "Field required", Send(body={"dag_run_id": RUN})),
    unfit(
        "logical date without time zone",
        "timezone_aware",
        "logical_date",
        "Input should have timezone info",
        Send(body=run(logical_date="2021-01-01T00:00:00")),
    ),
    *(
        unfit(
            f"conf is a {type(conf).__name__}",
            "dict_type",
            "conf",
            "Input should be a valid dictionary",
            Send(body=run(conf=conf)),
        )
        for conf in ([1], "x")
    ),
    unfit("unknown body key", "extra_forbidden", "zzz", "Extra inputs are not permitted", Send(body=run(zzz=1))),
    unfit("bad JSON", "json_invalid", "1", "JSON decode error", Send(body="{")),
    unfit(
        "text/plain",
        "model_attributes_type",
        "",
        "Input should be a valid dictionary or object to extract fields from",
        Send(body="{}", content_type="text/plain"),
    ),
    refused(
        "partition key on a plain DAG",
        400,
        Finding.REFUSED,
        "is not a partitioned Dag",
        Send(body=run(partition_key="x")),
    ),
)

UNFIT = (" ", "/", "\\", "?", "#", "%", "é", '"', "'", ";", ",", "=", "@", "&")
KINDS = ("scheduled", "backfill", "asset_triggered", "operator_triggered", "asset_materialization")

RUN_IDS = (
    *(
        refused(
            f"run id with {letter}",
            400,
            Finding.RUN_ID,
            "does not match regex pattern",
            Send(body=run(dag_run_id=f"{RUN}{letter}")),
        )
        for letter in UNFIT
    ),
    refused(
        "run id with ..",
        400,
        Finding.RUN_ID,
        "must not contain '..' to prevent path traversal",
        Send(body=run(dag_run_id=f"{RUN}..")),
    ),
    *(
        refused(
            f"run id of {kind}",
            400,
            Finding.RUN_ID,
            f"reserved for {kind} runs",
            Send(body=run(dag_run_id=f"{kind}__{RUN}")),
        )
        for kind in KINDS
    ),
    _accepted("run id of manual", Send(body=run(dag_run_id=f"manual__{RUN}"))),
    Row("run id absent", 200, Finding.OK, '{"dag_run_id":"manual__x"}', "manual__", _to(PAUSED, dag_run_id=None)),
)

READS = (
    refused(
        "unknown run",
        404,
        Finding.RUN_MISSING,
        f"The DagRun with dag_id: `{GOOD}` and run_id: `watcher__none` was not found",
        Send("GET", f"/api/v2/dags/{GOOD}/dagRuns/watcher__none"),
    ),
    refused(
        "unknown DAG read",
        404,
        Finding.DAG_MISSING,
        "The Dag with ID: `contract_none` was not found",
        Send("GET", "/api/v2/dags/contract_none"),
    ),
    Row(
        "unknown route", 404, Finding.ADDRESS, '{"error":"API route not found"}', '"error"', Send("GET", "/api/v2/zzz")
    ),
    Row(
        "version 1",
        404,
        Finding.ADDRESS,
        '{"error":"/api/v1 has been removed"}',
        '"error"',
        Send("GET", "/api/v1/dags"),
    ),
    refused(
        "trailing slash",
        405,
        Finding.ADDRESS,
        "Method Not Allowed",
        Send(path=f"/api/v2/dags/{GOOD}/dagRuns/", body=run()),
    ),
    refused(
        "unknown order",
        400,
        Finding.REFUSED,
        "Ordering with 'zzz' is disallowed",
        Send("GET", "/api/v2/dags/~/dagRuns?order_by=zzz"),
    ),
    Row(
        "unknown query parameter",
        200,
        Finding.OK,
        '{"dag_runs":[]}',
        '"dag_runs"',
        Send("GET", "/api/v2/dags/~/dagRuns?run_id_prefixpattern=zzz"),
    ),
    Row("a page of the UI", 200, Finding.ADDRESS_OK, "<!doctype html>", "<", Send("GET", "/dags"), "text/html"),
    Row(
        "URL longer than 64 KiB",
        400,
        Finding.REFUSED,
        "Invalid HTTP request received.",
        None,
        content_type="text/plain",
    ),
    refused("run cannot be deleted", 409, Finding.EXISTS, "cannot be deleted in running state"),
)

FAILURES = (
    Row("metadata database down", 500, Finding.FAILED, DATABASE % "Database error"),
    Row("value rejected by the database", 422, Finding.REFUSED, DATABASE % "Value rejected by database"),
    Row("conf nested too deep", 500, Finding.FAILED, "Internal Server Error", content_type="text/plain"),
    Row(
        "a DAG that cannot be read",
        500,
        Finding.FAILED_ONE,
        _detail("An error occurred while trying to deserialize Dag: KeyError"),
    ),
    Row("proxy: bad gateway", 502, Finding.FAILED, "<html>502</html>", content_type="text/html"),
    Row("proxy: too many requests", 429, Finding.LIMITED, "slow down", content_type="text/plain"),
    Row("proxy: login page", 200, Finding.ADDRESS_OK, "<html>log in</html>", content_type="text/html"),
    Row("proxy: forbidden page", 403, Finding.ADDRESS, "<html>no</html>", content_type="text/html"),
    Row("proxy: redirect", 302, Finding.ADDRESS, "", content_type="text/html"),
    Row("proxy: body too large", 413, Finding.REFUSED, "<html>413</html>", content_type="text/html"),
    Row("accepted, unreadable", 200, Finding.UNREADABLE, '{"dag_run_id": "x', content_type="application/json"),
)

ROWS = (*TOKENS, *TRIGGERS, *RUN_IDS, *READS, *FAILURES)
