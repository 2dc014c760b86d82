"""Names of batches and runs: what Airflow takes, what sorts, what reads."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.pipeline.drawn import patient
from watcher.errors import WatcherError
from watcher.pipeline.run import batch_name, is_run_id, make_run_id

AIRFLOWS_OWN = re.compile(r"^[A-Za-z0-9_.~:+-]+$")
OURS = re.compile(r"watcher__\d{8}T\d{6}Z__b\d{6,}")
zones = st.integers(-14, 14).map(lambda hours: timezone(timedelta(hours=hours)))


@patient
@given(st.datetimes(datetime(1000, 1, 2), datetime(9999, 12, 30), timezones=zones), st.integers(0, 10**30))  # noqa: DTZ001
@example(datetime(2026, 11, 22, 15, 10, 6, tzinfo=timezone(timedelta(hours=1))), 17)
def test_every_run_id_matches_both_patterns_and_fits(fired_at: datetime, number: int) -> None:
    """Airflow's default pattern, the full match of ours, and 64 characters; the time is UTC."""
    run_id = make_run_id(fired_at, number)
    assert AIRFLOWS_OWN.fullmatch(run_id)
    assert OURS.fullmatch(run_id)
    assert len(run_id) <= 64
    assert run_id == f"watcher__{fired_at.astimezone(UTC):%Y%m%dT%H%M%S}Z__{batch_name(number)}"


@pytest.mark.parametrize(
    ("fired_at", "number"),
    [
        (datetime(2026, 11, 22, 14, 10, 6), 17),  # noqa: DTZ001
        (datetime(2026, 11, 22, 14, 10, 6, tzinfo=UTC), -17),
        (datetime(2026, 11, 22, 14, 10, 6, tzinfo=UTC), 10**40),
    ],
)
def test_what_gives_no_run_id_is_our_bug(fired_at: datetime, number: int) -> None:
    """A time without a zone, a number below zero or one too long never reaches Airflow."""
    with pytest.raises(WatcherError, match="gives no run id") as raised:
        make_run_id(fired_at, number)
    assert raised.value.code == "internal"


@pytest.mark.parametrize(
    "text",
    [
        "watcher__20261122T141006Z__b000017\n",
        "watcher__20261122T141006Z__b17",
        "watcher__٢٠٢٦١١٢٢T141006Z__b000017",
        "manual__20261122T141006Z__b000017",
        "watcher__20261122T141006Z__b" + "1" * 60,
        "",
    ],
)
def test_a_run_id_is_matched_whole(text: str) -> None:
    """Airflow's own check lets a trailing newline through, and the run then fails; ours does not."""
    assert not is_run_id(text)
