"""How far back the next look reads: pure examples of the window's low end and of its marks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from watcher.detectors.table.access import Instant
from watcher.detectors.table.place import LONGEST_HOLD, Mark, Place, floor_of, marked

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
OVERLAP = timedelta(minutes=10)


def at(minutes: float, oldest: int | None = None, following: int | None = None) -> Instant:
    now = NOON + timedelta(minutes=minutes)
    return Instant(now, now.replace(tzinfo=None), oldest, following)


class TestTimes:
    """A column of times."""

    def test_the_highest_value_less_the_overlap(self) -> None:
        """However long nothing came, the window reaches an overlap below the highest value."""
        place = Place("aware", NOON)
        assert floor_of(place, at(500), OVERLAP).low == NOON - OVERLAP

    def test_a_value_in_the_future(self) -> None:
        """A value in the future counts as the database's now."""
        place = Place("aware", NOON + timedelta(days=900))
        assert floor_of(place, at(0), OVERLAP).low == NOON - OVERLAP

    def test_the_window_never_goes_back(self) -> None:
        """When the database's clock goes back the window stays: what is below it is forgotten."""
        place = Place("aware", NOON + timedelta(days=900), low=NOON)
        assert floor_of(place, at(-60), OVERLAP).low == NOON

    def test_an_open_transaction_holds_it(self) -> None:
        """The window waits for transactions that were open when a value was first seen, and goes on when they end."""
        early, late = NOON, NOON + timedelta(minutes=60)
        place = Place(
            "aware", late, low=early - OVERLAP, marks=(Mark(at(0).epoch, early, 5), Mark(at(60).epoch, late, 9))
        )
        assert floor_of(place, at(61, oldest=4), OVERLAP).low == early - OVERLAP
        assert floor_of(place, at(61, oldest=7), OVERLAP).low == early - OVERLAP
        assert floor_of(place, at(61, oldest=9), OVERLAP).low == late - OVERLAP

    def test_not_for_ever(self) -> None:
        """A transaction that is never ended holds the window for a day."""
        place = Place("aware", NOON, low=NOON - timedelta(days=3), marks=(Mark(at(0).epoch, NOON, 5),))
        minutes = LONGEST_HOLD / timedelta(minutes=1)
        assert floor_of(place, at(minutes - 1, oldest=1), OVERLAP).low < NOON - OVERLAP
        assert floor_of(place, at(minutes + 1, oldest=1), OVERLAP).low == NOON - OVERLAP

    def test_reading_a_long_past_is_not_held(self) -> None:
        """An old value needs no waiting: nothing that is open now began then."""
        past = NOON - timedelta(days=30)
        place = Place("aware", past, low=past - timedelta(days=1), marks=(Mark(at(0).epoch, past, 5),), draining=True)
        assert floor_of(place, at(1, oldest=1), OVERLAP).low == past - OVERLAP


class TestNumbers:
    """A column of numbers."""

    def test_the_value_of_an_overlap_ago(self) -> None:
        """The window reaches down to what was highest an overlap ago, however many rows came since."""
        place = Place(
            "int", 900, low=10, marks=(Mark(at(0).epoch, 100), Mark(at(5).epoch, 500), Mark(at(12).epoch, 900))
        )
        assert floor_of(place, at(14), OVERLAP).low == 100
        assert floor_of(place, at(16), OVERLAP).low == 500
        assert floor_of(place, at(60), OVERLAP).low == 900

    def test_reading_a_long_past(self) -> None:
        """From the beginning the window follows, up to so many rows below the maximum, and stops there for an overlap."""
        marks = (Mark(0.0, 5_000), Mark(at(0).epoch, 15_000))
        assert floor_of(Place("int", 3_000, marks=marks), at(1), OVERLAP).low == 3_000
        assert floor_of(Place("int", 9_000, marks=marks), at(1), OVERLAP).low == 5_000

    def test_a_short_table_is_known_whole(self) -> None:
        """With fewer rows than that all of them are in the window."""
        assert floor_of(Place("int", 30, marks=(Mark(0.0, None),)), at(1), OVERLAP).low is None


class TestMarks:
    """What is noted of the past."""

    def test_a_quiet_table_needs_no_new_mark(self) -> None:
        """While the highest value stays the mark stays, so that a quiet look stores nothing."""
        place = marked(Place("int", 5), at(0), OVERLAP)
        assert marked(place, at(100), OVERLAP) == place

    def test_marks_are_few(self) -> None:
        """However long a transaction is open, the cursor holds few marks."""
        place = Place("int", 0)
        for minute in range(1_000):
            place = marked(replace(place, value=minute), at(minute, oldest=1, following=minute + 2), OVERLAP)
        assert len(place.marks) <= 32

    @given(
        st.lists(st.tuples(st.integers(0, 400), st.integers(0, 50), st.booleans()), max_size=40),
        st.sampled_from(["int", "aware"]),
    )
    def test_the_window_only_moves_forward(self, steps: list[tuple[int, int, bool]], kind: Any) -> None:
        """Whatever clocks, transactions and values do, the window never goes back and never passes the highest value."""
        value_at: Any = (lambda n: n) if kind == "int" else (lambda n: NOON + timedelta(minutes=n))
        place, highest = Place(kind, value_at(0)), 0
        for minute, more, open_ in steps:
            instant = at(minute, oldest=1 if open_ else minute + 2, following=minute + 2)
            highest += more
            floor = floor_of(place, instant, OVERLAP)
            if place.low is not None:
                assert floor.low >= place.low
            assert floor.low is None or floor.low <= place.value
            place = marked(replace(place, value=value_at(highest), low=floor.low), instant, OVERLAP)
            assert Place.from_json(place.to_json()) == place
