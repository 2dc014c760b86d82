"""The rules of a validation as SQL that answers counts and never rows, and what these counts mean; pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Final

from watcher.errors import SourceError
from watcher.pipeline.sql_names import Part, column_of, parts_of
from watcher.pipeline.tasks import Validation

VALUE: Final = "\0"
"""Stands in a Question for a bound value: every driver has a mark of its own."""

Quote = Callable[[Part], str]
"""One part of a name as the database's own dialect writes it."""


@dataclass(frozen=True, slots=True)
class Question:
    """One SELECT whose answer is one row; each VALUE in `text` is the next of `values`."""

    text: str
    values: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found: how many rows (or whether the one figure) fail it, and the figure that was looked at.

    `checked` is a count of rows; for freshness the age in seconds, None for a table without a value.
    """

    passed: bool
    failing: int
    checked: int | float | None


def question_of(rule: Validation, quote: Quote) -> Question:
    """The SELECT of a rule. Raises ConfigError for a name that is none."""
    return _QUESTIONS[rule.rule](rule, quote)


def finding_of(rule: Validation, row: tuple[Any, ...], now: datetime) -> Finding:
    """What the answer to `question_of` means. Raises SourceError `source-answer` where freshness finds no time."""
    if rule.rule == "freshness":
        return _fresh(rule, row[0] if row[1] else None, now)
    checked, failing = int(row[0]), int(row[1])
    if rule.rule == "row_count":
        low = 1 if rule.min is None and rule.max is None else rule.min
        passed = (low is None or checked >= low) and (rule.max is None or checked <= rule.max)
        return Finding(passed, 0 if passed else 1, checked)
    return Finding(failing == 0, failing, checked)


def _fresh(rule: Validation, newest: Any, now: datetime) -> Finding:
    if newest is None or rule.max_age is None:
        return Finding(passed=False, failing=1, checked=None)
    age = (now - _moment(newest)).total_seconds()
    passed = age <= rule.max_age.total_seconds()
    return Finding(passed, 0 if passed else 1, round(age, 3))


def _moment(value: Any) -> datetime:
    """A time of any driver; without a zone it is UTC."""
    if isinstance(value, str):  # SQLite has no times, only texts of them
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError as error:
            raise SourceError("the column holds no times", code="source-answer") from error
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    raise SourceError(f"the column holds no times but {type(value).__name__}", code="source-answer")


def _table(name: str | None, quote: Quote) -> str:
    return ".".join(quote(part) for part in parts_of(name or ""))


def _subject(rule: Validation, quote: Quote) -> str:
    # a model is one name, whatever dots it has
    return quote(Part(rule.model)) if rule.model else _table(rule.table, quote)


def _column(rule: Validation, quote: Quote) -> str:
    # qualified: SQLite takes a bare quoted name that no column has for a text, and the rule would pass
    return f"checked.{quote(column_of(rule.column or ''))}"


def _counting(rule: Validation, quote: Quote, bad: str, values: tuple[Any, ...] = ()) -> Question:
    counts = f"COUNT(*), COALESCE(SUM(CASE WHEN {bad} THEN 1 ELSE 0 END), 0)"
    return Question(f"SELECT {counts} FROM {_subject(rule, quote)} AS checked", values)  # noqa: S608 - names are quoted


def _not_null(rule: Validation, quote: Quote) -> Question:
    return _counting(rule, quote, f"{_column(rule, quote)} IS NULL")


def _unique(rule: Validation, quote: Quote) -> Question:
    column = _column(rule, quote)
    counts = f"COUNT(*), COUNT({column}) - COUNT(DISTINCT {column})"
    return Question(f"SELECT {counts} FROM {_subject(rule, quote)} AS checked")  # noqa: S608 - names are quoted


def _accepted_values(rule: Validation, quote: Quote) -> Question:
    marks = ", ".join(VALUE for _ in rule.values)
    return _counting(rule, quote, f"{_column(rule, quote)} NOT IN ({marks})", rule.values)


def _range(rule: Validation, quote: Quote) -> Question:
    column = _column(rule, quote)
    ends = [(sign, end) for sign, end in (("<", rule.min), (">", rule.max)) if end is not None]
    return _counting(
        rule, quote, " OR ".join(f"{column} {sign} {VALUE}" for sign, _ in ends), tuple(end for _, end in ends)
    )


def _row_count(rule: Validation, quote: Quote) -> Question:
    return Question(f"SELECT COUNT(*), 0 FROM {_subject(rule, quote)} AS checked")  # noqa: S608 - names are quoted


def _freshness(rule: Validation, quote: Quote) -> Question:
    column = _column(rule, quote)
    return Question(f"SELECT MAX({column}), COUNT({column}) FROM {_subject(rule, quote)} AS checked")  # noqa: S608 - as above


def _relationships(rule: Validation, quote: Quote) -> Question:
    """Joined, not EXISTS: inside of an aggregate some databases refuse a subquery; named first, so that errors name columns."""
    column, wanted = _column(rule, quote), quote(column_of(rule.field or rule.column or ""))
    known = f"SELECT DISTINCT parent.{wanted} AS present FROM {_table(rule.to, quote)} AS parent"  # noqa: S608 - as above
    bad = _counting(rule, quote, f"{column} IS NOT NULL AND known.present IS NULL").text
    return Question(f"WITH known AS ({known}) {bad} LEFT JOIN known ON known.present = {column}")


def _sql(rule: Validation, _: Quote) -> Question:
    # as a subquery it can only be one SELECT; the line break ends a comment
    text = (rule.sql or "").strip().rstrip(";")
    return Question(f"SELECT COUNT(*), COUNT(*) FROM (\n{text}\n) AS found")  # noqa: S608 - the SQL is the file's own


_QUESTIONS: Final[Mapping[str, Callable[[Validation, Quote], Question]]] = {
    "not_null": _not_null,
    "unique": _unique,
    "accepted_values": _accepted_values,
    "range": _range,
    "row_count": _row_count,
    "freshness": _freshness,
    "relationships": _relationships,
    "sql": _sql,
}
"""Rule -> its question. Each answers (rows checked, rows failing), freshness (newest value, how many there are)."""
