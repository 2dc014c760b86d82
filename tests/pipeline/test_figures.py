"""Numbers for a glance never lie about their order."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pipeline.drawn import patient
from watcher.pipeline.figures import elapsed, size

UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15}


def read(text: str) -> float:
    number, unit = text.split(" ")
    return float(number) * UNITS[unit]


@patient
@given(st.integers(0, 10**18), st.integers(0, 10**18))
def test_a_larger_size_never_reads_smaller(one: int, other: int) -> None:
    """So `52.4 MB >= 50.0 MB` is true whenever the bytes behind it are."""
    small, large = sorted((one, other))
    assert read(size(small)) <= read(size(large)) * (1 + 1e-9)
    assert read(size(large)) == pytest.approx(large, rel=0.06)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"), (10**9, "1.0 GB")],
)
def test_a_size_has_one_digit_and_a_unit(count: int, text: str) -> None:
    """Decimal units, and the next one before a number reads 1000.0."""
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (-5, "0s"), (0.9, "0s"), (59.9, "59s"), (60, "1m"), (575, "9m 35s"), (3605, "1h"), (90_061, "1d 1h")],
)
def test_elapsed_shows_two_units_and_never_rounds_up(seconds: float, text: str) -> None:
    """What has not lasted ten minutes never reads as ten minutes."""
    assert elapsed(timedelta(seconds=seconds)) == text
