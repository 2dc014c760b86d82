"""What each answer of Airflow means: one table from (status, headers, body) to the next step; pure, never raises."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import Literal

from watcher.detection import Json

Kind = Literal["confirmed", "foreign", "absent", "exists", "hold", "unknown", "refused", "not-sent"]
Word = Literal[
    "created",
    "already-there",
    "foreign-run",
    "refused",
    "forbidden",
    "token",
    "not-found",
    "unavailable",
    "no-answer",
    "not-sent",
]
Effect = Literal["success", "neutral", "count", "open"]
"""What an answer does to the breaker: closes it, nothing, counts as one of five in a row, opens it at once."""

LONGEST_TEXT = 300
LONGEST_WAIT = 900.0


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole answer: header names in lower case, the body cut at the limit of the exchange."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Lost:
    """No answer. `sent` says whether a byte may have reached Airflow; `why` is a few words without secrets."""

    sent: bool
    why: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one attempt to deliver or to verify a batch.

    `kind` says what the caller does next, `code` is a key of `errors.CODES` (None when confirmed), `detail` a short
    text for people, `run_state` Airflow's state of a confirmed run, `retry_after` seconds, `answer` the metric's.
    """

    kind: Kind
    code: str | None = None
    detail: str = ""
    run_state: str | None = None
    retry_after: float | None = None
    answer: Word = "no-answer"


class Finding(Enum):
    """What an exchange shows, whatever was asked."""

    OK = auto()
    EXISTS = auto()
    TOKEN = auto()
    FORBIDDEN = auto()
    DAG_MISSING = auto()
    RUN_MISSING = auto()
    DAG_BROKEN = auto()
    ADDRESS = auto()
    ADDRESS_OK = auto()
    PARAMS = auto()
    RUN_ID = auto()
    REFUSED = auto()
    LIMITED = auto()
    FAILED = auto()
    FAILED_ONE = auto()
    UNREADABLE = auto()
    NO_ANSWER = auto()
    NOT_SENT = auto()


@dataclass(frozen=True, slots=True)
class Meaning:
    """One line of the table: kind, code and metric word of an attempt to trigger, and the effect on the breaker."""

    kind: Kind
    code: str | None
    answer: Word
    effect: Effect


MEANINGS: Mapping[Finding, Meaning] = {
    Finding.OK: Meaning("confirmed", None, "created", "success"),
    Finding.EXISTS: Meaning("exists", "airflow-no-answer", "no-answer", "success"),
    Finding.TOKEN: Meaning("hold", "airflow-token", "token", "open"),
    Finding.FORBIDDEN: Meaning("hold", "airflow-forbidden", "forbidden", "success"),
    Finding.DAG_MISSING: Meaning("hold", "dag-unknown", "not-found", "success"),
    Finding.RUN_MISSING: Meaning("absent", "airflow-no-answer", "not-found", "success"),
    Finding.DAG_BROKEN: Meaning("hold", "dag-broken", "refused", "success"),
    Finding.ADDRESS: Meaning("hold", "airflow-address", "unavailable", "open"),
    # A page with status 200 where a run was expected: nobody knows what the server behind it did.
    Finding.ADDRESS_OK: Meaning("unknown", "airflow-address", "no-answer", "open"),
    Finding.PARAMS: Meaning("refused", "params-refused", "refused", "success"),
    Finding.RUN_ID: Meaning("refused", "run-id-refused", "refused", "success"),
    Finding.REFUSED: Meaning("refused", "request-refused", "refused", "success"),
    Finding.LIMITED: Meaning("hold", "airflow-limited", "unavailable", "neutral"),
    Finding.FAILED: Meaning("unknown", "airflow-no-answer", "unavailable", "count"),
    # A stored DAG that cannot be read says nothing about any other DAG.
    Finding.FAILED_ONE: Meaning("unknown", "airflow-no-answer", "unavailable", "neutral"),
    Finding.UNREADABLE: Meaning("unknown", "airflow-no-answer", "no-answer", "neutral"),
    Finding.NO_ANSWER: Meaning("unknown", "airflow-no-answer", "no-answer", "count"),
    Finding.NOT_SENT: Meaning("not-sent", "airflow-unreachable", "not-sent", "count"),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """One classified exchange: the finding, a short text, seconds to wait where named, the JSON body when it is OK."""

    finding: Finding
    detail: str = ""
    retry_after: float | None = None
    body: Json = None
    code: str | None = None
    """Overrides the code of the table: the breaker's reason when nothing was sent because of it."""

    @property
    def meaning(self) -> Meaning:
        return MEANINGS[self.finding]

    def answer(self) -> Answer:
        """As the answer to an attempt to trigger, before any verification."""
        meaning = self.meaning
        code = self.code or meaning.code
        return Answer(meaning.kind, code, self.detail, retry_after=self.retry_after, answer=meaning.answer)


def classify(outcome: Reply | Lost, now: datetime) -> Seen:
    """The one table of answers. `now` (aware UTC) is only for a Retry-After that names a date."""
    if isinstance(outcome, Lost):
        return Seen(Finding.NO_ANSWER if outcome.sent else Finding.NOT_SENT, outcome.why)
    body = _parsed(outcome.body)
    finding = _finding(outcome, body)
    if finding is Finding.OK:
        return Seen(finding, body=body)
    wait = _retry_after(outcome.headers.get("retry-after"), now)
    return Seen(finding, _detail(outcome, body, finding), wait)


def _finding(reply: Reply, body: Json) -> Finding:
    status = reply.status
    if 300 <= status < 400:
        return Finding.ADDRESS
    if status >= 500:
        return Finding.FAILED_ONE if "deserialize Dag" in _text(body) else Finding.FAILED
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if _is_html(reply):
        return Finding.ADDRESS_OK if status < 300 else Finding.ADDRESS
    if status < 300:
        return Finding.OK if isinstance(body, dict) else Finding.UNREADABLE
    return _by_text(status, body)


_BY_STATUS = {
    401: Finding.TOKEN,
    405: Finding.ADDRESS,
    407: Finding.ADDRESS,
    408: Finding.FAILED,
    409: Finding.EXISTS,
    413: Finding.REFUSED,
    429: Finding.LIMITED,
}

# Anchored: the id that follows is anybody's text and may itself read like another message.
_RUN_NOT_FOUND = re.compile(r"(the )?dag[ _]?run with\b", re.IGNORECASE)
_DAG_NOT_FOUND = re.compile(r"(the |unable to obtain )?dag with\b", re.IGNORECASE)
_BAD_RUN_ID = re.compile(r"does not match regex pattern|must not contain '\.\.'|reserved for .* runs", re.IGNORECASE)


def _by_text(status: int, body: Json) -> Finding:
    text = _text(body)
    if status == 403:
        return Finding.TOKEN if "Invalid JWT" in text else Finding.FORBIDDEN
    if status == 404:
        if _RUN_NOT_FOUND.match(text):
            return Finding.RUN_MISSING
        return Finding.DAG_MISSING if _DAG_NOT_FOUND.match(text) else Finding.ADDRESS
    if status == 400:
        return _bad_request(text)
    return Finding.REFUSED


def _bad_request(text: str) -> Finding:
    if text.startswith("Invalid input for param"):
        return Finding.PARAMS
    if "has import errors" in text:
        return Finding.DAG_BROKEN
    return Finding.RUN_ID if _BAD_RUN_ID.search(text) else Finding.REFUSED


def _parsed(body: bytes) -> Json:
    try:
        parsed: Json = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return parsed


def _is_html(reply: Reply) -> bool:
    return "html" in reply.headers.get("content-type", "").lower() or reply.body.lstrip()[:1] == b"<"


def _text(body: Json) -> str:
    """Airflow's own words in a JSON error body; empty for a body of any other shape."""
    if not isinstance(body, dict):
        return ""
    detail = body.get("detail", body.get("error"))
    if isinstance(detail, str):
        return detail
    if isinstance(detail, dict):
        # Earlier 3.x put SQL beside it: of a database error only the reason and the ID ever leave this module.
        return str(detail.get("reason", ""))
    if isinstance(detail, list):
        return _first_problem(detail)
    return ""


def _first_problem(problems: list[Json]) -> str:
    for problem in problems:
        if isinstance(problem, dict):
            place = problem.get("loc")
            where = ".".join(str(part) for part in place) if isinstance(place, list) else ""
            return f"{problem.get('msg', 'refused')} ({where})" if where else str(problem.get("msg", "refused"))
    return ""


_LOG_ID = re.compile(rb"look for ID (\w{4,16})")


def _detail(reply: Reply, body: Json, finding: Finding) -> str:
    if finding in (Finding.ADDRESS, Finding.ADDRESS_OK):
        return f"HTTP {reply.status}, {_shape(reply, body)}"
    words = f"HTTP {reply.status}"
    text = short(_text(body))
    if text:
        words += f": {text}"
    if found := _LOG_ID.search(reply.body):
        words += f", ID {found[1].decode('ascii', 'replace')} in Airflow's log"
    return words


def _shape(reply: Reply, body: Json) -> str:
    if 300 <= reply.status < 400:
        return "a redirect"
    if _is_html(reply):
        return "an HTML page"
    return short(_text(body)) or "not an answer of Airflow"


def short(text: str, longest: int = LONGEST_TEXT) -> str:
    """The first line of a foreign text, printable and cut."""
    stripped = text.strip()
    line = stripped.splitlines()[0] if stripped else ""
    clean = "".join(letter if letter.isprintable() else " " for letter in line).strip()
    return clean if len(clean) <= longest else f"{clean[: longest - 1]}…"


def _retry_after(value: str | None, now: datetime) -> float | None:
    if value is None:
        return None
    try:
        seconds = float(int(value)) if value.strip().isdigit() else _until(value, now)
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT)


def _until(value: str, now: datetime) -> float:
    moment = parsedate_to_datetime(value)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - now).total_seconds()
