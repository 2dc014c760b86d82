"""Durations, sizes, schedules and dates: what is read, and what is suggested where a unit is missing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from watcher.pipeline.trigger import Trigger
from watcher.pipeline.values import (
    FROM_FILE,
    Cron,
    StartDate,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("0s", 0), ("30s", 30), ("10m", 600), ("6h", 21600), ("7d", 604800)]
)
def test_durations_are_read(text: str, seconds: float) -> None:
    """A whole number and a unit."""
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "code", "hint"),
    [
        (30, "no-unit", 'did you mean "30s"?'),
        ("30", "no-unit", 'did you mean "30s"?'),
        (0, "no-unit", 'did you mean "0s"?'),
        ("5 minutes", "bad-value", 'did you mean "5m"?'),
        ("2 Hours", "bad-value", 'did you mean "2h"?'),
        ("1.5h", "bad-value", 'did you mean "90m"?'),
        ("5x", "bad-value", ""),
        ("-5s", "bad-value", ""),
        ("99999999d", "bad-value", ""),
        (True, "bad-value", ""),
        (None, "bad-value", ""),
        ([], "bad-value", ""),
        ("٣s", "bad-value", ""),
    ],
)
def test_what_is_no_duration_gets_a_suggestion(text: object, code: str, hint: str) -> None:
    """A missing unit has its own code, and what was probably meant is offered."""
    with pytest.raises(PydanticCustomError) as caught:
        parse_duration(text)
    assert caught.value.context is not None
    assert (caught.value.context["code"], caught.value.context["hint"]) == (code, hint)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1B", 1),
        ("64KiB", 65536),
        ("50MB", 50_000_000),
        ("1GB", 10**9),
        ("2 GiB", 2**31),
        ("1kb", 1000),
        ("3TB", 3 * 10**12),
    ],
)
def test_sizes_are_read(text: str, size: int) -> None:
    """Decimal and binary units, in any case."""
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "hint"),
    [(50, 'did you mean "50MB"?'), (65536000, 'did you mean "64000KiB"?'), ("2000000", 'did you mean "2MB"?')],
)
def test_a_size_without_a_unit_gets_a_suggestion(text: object, hint: str) -> None:
    """Small numbers were meant as megabytes, large ones as bytes."""
    with pytest.raises(PydanticCustomError) as caught:
        parse_size(text)
    assert caught.value.context is not None
    assert (caught.value.context["code"], caught.value.context["hint"]) == ("no-unit", hint)


@given(st.integers(0, 10**11))
def test_a_written_duration_is_read_back(milliseconds: int) -> None:
    """format_duration and parse_duration are each other's inverse."""
    value = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(value)) == value


@given(st.integers(0, 2**53))
def test_a_written_size_is_read_back(size: int) -> None:
    """format_size and parse_size are each other's inverse."""
    assert parse_size(format_size(size)) == size


def test_a_bare_size_is_refused_in_files_only() -> None:
    """A program may give bytes as an int; in a file a unit is needed."""
    assert Trigger(bytes=500).bytes == 500
    with pytest.raises(ValidationError, match="needs a unit"):
        Trigger.model_validate({"bytes": 500}, context=FROM_FILE)


@pytest.mark.parametrize("text", ["0 2 * * *", "*/5  * * * 1-5", "@daily", "0 0 29 2 *"])
def test_schedules_are_read(text: str) -> None:
    """Five fields or a word that calendars know."""
    assert TypeAdapter(Cron).validate_python(text) == " ".join(text.split())


@pytest.mark.parametrize("text", ["none", "None", ""])
def test_none_is_no_schedule(text: str) -> None:
    """`schedule: none` is the same as no schedule."""
    assert TypeAdapter(Cron).validate_python(text) is None


@pytest.mark.parametrize(
    "text", ["0 0 31 2 *", "61 * * * *", "* * * * * *", "@never", "tomorrow", "R * * * *", "a b c d e"]
)
def test_a_schedule_that_never_comes_is_refused(text: str) -> None:
    """It is tried once while loading, not at the first night."""
    with pytest.raises(ValidationError):
        TypeAdapter(Cron).validate_python(text)


def test_start_dates_are_dates_or_aware_times() -> None:
    """A time without a zone is UTC."""
    read = TypeAdapter(StartDate).validate_python
    assert read("2026-01-31") == date(2026, 1, 31)
    assert read("2026-01-31T06:00:00") == datetime(2026, 1, 31, 6, tzinfo=UTC)
    assert read("2026-01-31T06:00:00+02:00").utcoffset() == timedelta(hours=2)
