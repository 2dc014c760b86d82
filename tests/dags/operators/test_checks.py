"""The SQL of a rule and what its answer means, without a database."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from tests.dags.checked_tables import HOUR, rule
from watcher.dags.operators.checks import Finding, Question, finding_of, question_of
from watcher.errors import SourceError
from watcher.pipeline.sql_names import Part

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)


def quote(part: Part) -> str:
    return f"<{part.word}>"


def test_values_never_stand_in_the_text() -> None:
    """Values are beside the statement; names in it went through the dialect's quoting, part by part."""
    asked = question_of(rule("accepted_values", table="shop.orders", column="a.b", values=("x", 1)), quote)

    assert asked.values == ("x", 1)
    assert "FROM <shop>.<orders> AS checked" in asked.text
    assert "checked.<a.b> NOT IN (\0, \0)" in asked.text


def test_a_model_is_one_name() -> None:
    """The dots of a dbt model's name are part of it."""
    asked = question_of(rule("row_count", table=None, model="mart.orders"), quote)

    assert asked == Question("SELECT COUNT(*), 0 FROM <mart.orders> AS checked")


@pytest.mark.parametrize(
    ("limits", "rows", "passed"),
    [({}, 0, False), ({}, 1, True), ({"min": 0}, 0, True), ({"max": 3}, 0, True), ({"max": 3}, 4, False),
     ({"min": 2, "max": 3}, 1, False), ({"min": 2, "max": 3}, 2, True)],
)  # fmt: skip
def test_row_count(limits: dict[str, Any], rows: int, passed: bool) -> None:
    """Without limits one row is enough; with them they alone count."""
    assert finding_of(rule("row_count", **limits), (rows, 0), NOW) == Finding(passed, 0 if passed else 1, rows)


@pytest.mark.parametrize(
    ("newest", "age"),
    [
        (datetime(2026, 11, 22, 13, 0), 3600),  # noqa: DTZ001 - a driver's time without a zone
        (datetime(2026, 11, 22, 14, 30, tzinfo=timezone(HOUR)), 1800),
        ("2026-11-22 13:59:00", 60),
        ("2026-11-22T13:59:00+01:00", 3660),
        (date(2026, 11, 22), 14 * 3600),
        ("2026-11-22T15:00:00Z", -3600),
    ],
)
def test_freshness(newest: Any, age: float) -> None:
    """The age of the newest value decides; a time without a zone is UTC."""
    found = finding_of(rule("freshness", column="t", max_age=HOUR), (newest, 1), NOW)

    assert found == Finding(age <= 3600, 0 if age <= 3600 else 1, age)


@pytest.mark.parametrize("newest", ["soon", 1_700_000_000, timedelta(1)])
def test_freshness_of_what_is_no_time(newest: Any) -> None:
    """A column of something else is told by its type, not by its value."""
    with pytest.raises(SourceError, match="the column holds no times") as caught:
        finding_of(rule("freshness", column="t", max_age=HOUR), (newest, 1), NOW)
    assert str(newest) not in str(caught.value)
