"""Values of a growing column: JSON and back, ranks in the order of the column, and steps that are never too short."""

from __future__ import annotations

import math
import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.detectors.table.values import (
    LAST_RANK,
    TIMES,
    as_time,
    at_least,
    decode,
    encode,
    just_below,
    kind_of,
    rank,
    stepped_back,
)
from watcher.errors import SourceError

naive = st.datetimes(datetime.fromisoformat("1000-01-01"), datetime.fromisoformat("9999-12-31"))
aware = st.datetimes(datetime.fromisoformat("0001-01-03"), timezones=st.just(UTC))
whole = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False)
decimals = st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**20), max_value=10**20)
spaced = naive.map(lambda moment: f"{moment:%Y-%m-%d %H:%M:%S}")
iso = naive.map(lambda moment: moment.isoformat(timespec="milliseconds"))
mixed = st.one_of(spaced, iso, naive.map(lambda moment: f"{moment:%Y-%m-%d}"), naive.map(datetime.isoformat))
values = st.one_of(naive, aware, st.dates(), whole, floats, decimals, mixed, st.uuids())


@given(values)
def test_json_and_back(value: Any) -> None:
    """Every value comes back from the cursor as it was."""
    assert decode(kind_of(value), encode(value)) == value


@pytest.mark.parametrize(
    "pairs", [st.tuples(s, s) for s in (naive, aware, st.dates(), whole, floats, decimals, spaced, mixed)]
)
def test_ranks_are_in_the_order_of_the_column(pairs: st.SearchStrategy[tuple[Any, Any]]) -> None:
    """A higher value never has a lower rank: forgetting by rank forgets nothing above the window, mixed texts included."""

    @given(pairs)
    def check(pair: tuple[Any, Any]) -> None:
        low, high = sorted(pair)
        assert rank(kind_of(low), low, 0.0) <= rank(kind_of(high), high, 0.0)

    check()


@given(st.one_of(naive, aware, st.dates(), spaced, iso), st.timedeltas(timedelta(0), timedelta(days=3)))
def test_a_step_back_is_never_too_short(value: Any, overlap: timedelta) -> None:
    """The low end of the window is below every value that is at most the overlap older, to the microsecond."""
    moment = as_time(value)
    assert moment is not None
    low = stepped_back(value, moment, overlap)
    edge = moment - overlap if moment - datetime.min.replace(tzinfo=UTC) > overlap else moment
    same_form: Any = {
        datetime: lambda: edge if isinstance(value, datetime) and value.tzinfo else edge.replace(tzinfo=None),
        date: edge.date,
        str: lambda: f"{edge:%Y-%m-%d}{value[10]}{edge:%H:%M:%S}",
    }[type(value)]()
    if overlap:
        assert low <= same_form
    assert low < value or (isinstance(value, datetime) and not overlap and low == value)


@given(st.one_of(whole, floats, decimals, naive, aware, st.dates(min_value=date(1, 1, 2)), spaced, iso))
def test_a_range_holds_its_ends(value: Any) -> None:
    """`just_below` is below the value and `at_least` is not, as JSON compares."""
    low, high = just_below(value), at_least(value)
    if isinstance(value, int | float | Decimal):
        assert isinstance(low, int | float)
        assert isinstance(high, int | float)
        if not isinstance(value, float) or value > -1.7e308:
            assert Decimal(low) < Decimal(value) <= Decimal(high)
        return
    written = encode(value)
    assert isinstance(low, str)
    assert isinstance(written, str)
    assert low < written <= str(high)


@pytest.mark.parametrize("value", [b"\x01", True, None, [1], memoryview(b"x")])
def test_what_has_no_order_is_refused(value: object) -> None:
    """A type that is no cursor is `source-schema`."""
    with pytest.raises(SourceError) as caught:
        kind_of(value)
    assert caught.value.code == "source-schema"


@pytest.mark.parametrize("value", [math.nan, math.inf, Decimal("NaN"), Decimal("Infinity")])
def test_what_is_no_number_is_refused(value: object) -> None:
    """NaN and infinity have no place in a cursor."""
    with pytest.raises(SourceError) as caught:
        encode(value)
    assert caught.value.code == "source-answer"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("2026-11-22", "iso"),
        ("2026-11-22 12:00", "iso"),
        ("2026-11-22T12:00:00.123456789Z", "iso"),
        ("2026-11-22 12:00:00+02", "iso"),
        ("2026-11-22T12:00:00-0530", "iso"),
        ("2026-11-22T12:00:00+99:99", "text"),
        ("2026-13-01", "text"),
        ("0000-00-00 00:00:00", "text"),
        ("22.11.2026", "text"),
        ("", "text"),
        ("2026-11-22 12:00:00 ", "text"),
    ],
)
def test_texts_that_are_times(text: str, kind: str) -> None:
    """What SQLite and common programs write is a time; all else is ordered as text."""
    assert kind_of(text) == kind


def test_odd_ranks() -> None:
    """A text that is no time in a column of times stays to the end; what has no number is ranked by when it was seen."""
    assert rank("iso", "tomorrow", 5.0) == LAST_RANK
    assert rank("text", "abc", 5.0) == 5.0
    assert rank("uuid", uuid.uuid4(), 5.0) == 5.0
    assert {"aware", "naive", "date", "iso"} == TIMES
