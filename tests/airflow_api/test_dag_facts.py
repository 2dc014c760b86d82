"""What people ask about a DAG, and what becomes of answers that are of no use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.airflow_api.fake_airflow import FakeAirflow
from tests.airflow_api.rows import GOOD
from tests.airflow_api.world import options_of
from watcher.airflow_api import open_airflow
from watcher.errors import AirflowError

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (403, b'{"detail": "Forbidden"}', "airflow-forbidden"),
        (404, b'{"error": "API route not found"}', "airflow-address"),
        (200, b"{}", "airflow-address"),
        (500, b'{"detail": "x"}', "airflow-no-answer"),
    ],
)
async def test_no_usable_answer_is_an_error(fake: FakeAirflow, status: int, body: bytes, code: str) -> None:
    """Only "not found" means that Airflow does not know the DAG; anything else says nothing about it."""
    async with open_airflow(options_of(fake)) as api:
        with (
            fake.fault("answer", path="/details", status=status, body=body, headers=JSON),
            pytest.raises(AirflowError) as raised,
        ):
            await api.dag(GOOD)
    assert raised.value.code == code


async def test_times_are_read_through_all_pages(fake: FakeAirflow) -> None:
    """A site may allow smaller pages than ours; the newest come first."""
    fake.largest_page = 30
    fake.dag(GOOD, times={"wait": [(NOW - timedelta(hours=n), float(n)) for n in range(100)]})
    async with open_airflow(options_of(fake)) as api:
        found = await api.task_times(GOOD, "wait", NOW - timedelta(days=30))
    assert ([time.seconds for time in found.times], found.whole) == ([float(n) for n in range(100)], True)


async def test_what_breaks_off_is_not_whole(fake: FakeAirflow) -> None:
    """What was read counts, as the least that it was; without a first page there is an error."""
    fake.largest_page = 30
    fake.dag(GOOD, times={"wait": [(NOW, 1.0)] * 100})
    async with open_airflow(options_of(fake)) as api:
        with fake.fault("answer", path="/taskInstances", skip=1, times=9):
            found = await api.task_times(GOOD, "wait", NOW - timedelta(days=30))
        assert (len(found.times), found.whole) == (30, False)
        with fake.fault("answer", path="/taskInstances", times=9), pytest.raises(AirflowError):
            await api.task_times(GOOD, "wait", NOW - timedelta(days=30))


async def test_a_task_that_still_waits_has_no_time(fake: FakeAirflow) -> None:
    """Its row has no duration; the others count."""
    body = (
        b'{"task_instances": [{"start_date": "2026-11-22T12:00:00Z", "duration": null},'
        b' {"start_date": "2026-11-22T11:00:00Z", "duration": 2.5}, "x"], "total_entries": 3}'
    )
    async with open_airflow(options_of(fake)) as api:
        with fake.fault("answer", path="/taskInstances", status=200, body=body, headers=JSON):
            found = await api.task_times(GOOD, "wait", NOW - timedelta(days=30))
    assert ([time.seconds for time in found.times], found.whole) == ([2.5], True)
