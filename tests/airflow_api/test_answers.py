"""Every measured answer, replayed through the table."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.airflow_api.rows import DATABASE, ROWS, TOKENS, Row
from watcher.airflow_api.answers import MEANINGS, Finding, Lost, Reply, classify, short
from watcher.errors import CODES

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)


def reply(status: int, body: str | bytes = "{}", **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(
        status, {"content-type": "application/json"} | named, body if isinstance(body, bytes) else body.encode()
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_recorded_answers_are_classified(row: Row) -> None:
    """Each recorded answer is taken for what the table says."""
    seen = classify(reply(row.status, row.recorded, content_type=row.content_type), NOW)
    assert seen.finding is row.finding


EXPECTED = {
    "accepted": ("confirmed", None, "created"),
    "same run id again": ("exists", "airflow-no-answer", "no-answer"),
    "garbage token": ("hold", "airflow-token", "token"),
    "expired token": ("hold", "airflow-token", "token"),
    "no right on this DAG": ("hold", "airflow-forbidden", "forbidden"),
    "unknown DAG": ("hold", "dag-unknown", "not-found"),
    "import errors but not stale": ("hold", "dag-broken", "refused"),
    "unknown route": ("hold", "airflow-address", "unavailable"),
    "proxy: redirect": ("hold", "airflow-address", "unavailable"),
    "proxy: login page": ("unknown", "airflow-address", "no-answer"),
    "params refused": ("refused", "params-refused", "refused"),
    "run id with ..": ("refused", "run-id-refused", "refused"),
    "unknown body key": ("refused", "request-refused", "refused"),
    "text/plain": ("refused", "request-refused", "refused"),
    "metadata database down": ("unknown", "airflow-no-answer", "unavailable"),
    "accepted, unreadable": ("unknown", "airflow-no-answer", "no-answer"),
    "proxy: too many requests": ("hold", "airflow-limited", "unavailable"),
    "unknown run": ("absent", "airflow-no-answer", "not-found"),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_answers_have_their_next_step(name: str) -> None:
    """Kind, code and metric word follow section 4 of the specification."""
    row = next(row for row in ROWS if row.name == name)
    answer = classify(reply(row.status, row.recorded, content_type=row.content_type), NOW).answer()
    assert (answer.kind, answer.code, answer.answer) == EXPECTED[name]


def test_lost_answers_are_unknown_only_after_a_byte_left() -> None:
    """Refused before any byte is not unknown, everything later is."""
    before, after = classify(Lost(False, "refused"), NOW).answer(), classify(Lost(True, "reset"), NOW).answer()
    assert (before.kind, before.code, before.answer) == ("not-sent", "airflow-unreachable", "not-sent")
    assert (after.kind, after.code, after.answer) == ("unknown", "airflow-no-answer", "no-answer")


def test_every_code_is_known() -> None:
    """The table names no code that the errors page lacks, and every finding has its line."""
    assert set(MEANINGS) == set(Finding)
    assert {meaning.code for meaning in MEANINGS.values() if meaning.code} <= set(CODES)


def test_database_errors_are_quoted_by_id_alone() -> None:
    """The ID of Airflow's log is shown, the SQL of an older 3.x is not."""
    body = DATABASE.replace("hidden", "INSERT INTO dag_run VALUES ('secret')") % "Database error"
    assert classify(reply(500, body), NOW).detail == "HTTP 500: Database error, ID xYz01234 in Airflow's log"


def test_details_are_one_short_line() -> None:
    """A foreign text is cut to one printable line; a page is never quoted."""
    long = classify(reply(400, '{"detail":"%s\\u0007\\nsecond line"}' % ("x" * 5000)), NOW)
    assert len(long.detail) < 320
    assert "second" not in long.detail
    assert classify(reply(404, "<html>secret</html>", content_type="text/html"), NOW).detail == "HTTP 404, an HTML page"
    assert short("\n\x1b[31mred\n") == "[31mred"


def test_first_problem_of_a_list_is_named() -> None:
    """Of a list of problems the first is quoted with its place."""
    body = '{"detail":[{"type":"missing","loc":["body","logical_date"],"msg":"Field required"}]}'
    assert classify(reply(422, body), NOW).detail == "HTTP 422: Field required (body.logical_date)"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("86400", 900.0),
        ("Sun, 22 Nov 2026 14:01:00 GMT", 60.0),
        ("Sun, 22 Nov 2026 13:00:00 GMT", 0.0),
        ("Mon, 23 Nov 2026 14:00:00 -0000", 900.0),
        ("soon", None),
        ("", None),
        ("²", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    """Retry-After is obeyed in both forms, up to 15 min, and nonsense is not."""
    seen = classify(reply(429, "", retry_after=value), NOW)
    assert (seen.finding, seen.retry_after) == (Finding.LIMITED, seconds)


def test_a_dag_named_like_a_run_is_still_a_dag() -> None:
    """The id inside a message cannot turn it into another message."""
    text = "Dag with dag_id: 'The DagRun with dag_id was not found' not found"
    assert classify(reply(404, json.dumps({"detail": text})), NOW).finding is Finding.DAG_MISSING


def test_only_token_words_are_token_trouble() -> None:
    """A 403 is about the token only in Airflow's own words for it."""
    forbidden = [row.name for row in TOKENS if row.finding is Finding.FORBIDDEN]
    assert forbidden == ["login without credentials", "no right on this DAG"]


_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["detail", "error", "loc", "msg", "reason", "x"]), inner)
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(
    status=st.integers(100, 599),
    body=st.binary() | _json.map(lambda value: json.dumps(value).encode()),
    kind=st.sampled_from(["application/json", "text/html", ""]),
    wait=st.text(max_size=40),
)
def test_no_answer_can_break_the_table(status: int, body: bytes, kind: str, wait: str) -> None:
    """Whatever comes back has a meaning, a short detail and a bounded wait; a 2xx is never a refusal, a 5xx never certain."""
    seen = classify(Reply(status, {"content-type": kind, "retry-after": wait}, body), NOW)
    answer = seen.answer()
    assert len(answer.detail) < 360
    assert answer.detail.isprintable()
    assert seen.retry_after is None or 0 <= seen.retry_after <= 900
    if 200 <= status < 300:
        assert answer.kind in ("confirmed", "unknown")
    if status >= 500:
        assert answer.kind == "unknown"


def test_deep_and_endless_json_is_unreadable() -> None:
    """Nesting and numbers beyond what can be parsed are an unreadable answer, not a crash."""
    for body in (b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}"):
        assert classify(reply(200, body), NOW).finding is Finding.UNREADABLE
