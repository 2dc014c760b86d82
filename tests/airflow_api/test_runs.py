"""Following runs: exact ids, small pages, lists that hide, and an Airflow that goes away in between."""

from __future__ import annotations

import pytest

from tests.airflow_api import fake_rules
from tests.airflow_api.fake_airflow import FakeAirflow
from tests.airflow_api.rows import GOOD
from tests.airflow_api.world import new_run_id
from watcher.airflow_api import AirflowOptions, RunStatus, open_airflow
from watcher.errors import AirflowError

LIST = "/api/v2/dags/~/dagRuns"
ONE = f"/api/v2/dags/{GOOD}/dagRuns/"


def options(fake: FakeAirflow) -> AirflowOptions:
    return AirflowOptions(url=fake.url, username=fake.username, password=lambda: fake.password)


def plant(fake: FakeAirflow, run_id: str, dag_id: str = GOOD, **state: object) -> str:
    body = {"logical_date": None, "conf": {"watcher": {"uid": f"u-{run_id}"}}}
    fake.runs[dag_id, run_id] = fake_rules.run_body(dag_id, run_id, body, "watcher", ui=False) | state
    return run_id


async def test_states_and_times_are_read(fake: FakeAirflow) -> None:
    """A run is answered with its state, times and uid."""
    run_id = plant(
        fake, new_run_id(), state="success", start_date="2026-11-22T14:00:00Z", end_date="2026-11-22T14:01:00Z"
    )
    async with open_airflow(options(fake)) as api:
        status = (await api.runs([(GOOD, run_id)]))[run_id]
    assert isinstance(status, RunStatus)
    assert (status.state, status.uid) == ("success", f"u-{run_id}")
    assert status.start_date is not None
    assert status.end_date is not None
    assert (status.end_date - status.start_date).total_seconds() == 60


async def test_a_hundred_ids_per_request(fake: FakeAirflow) -> None:
    """250 runs take three requests, none of them for one run."""
    ids = [plant(fake, new_run_id()) for _ in range(250)]
    async with open_airflow(options(fake)) as api:
        runs = await api.runs([(GOOD, run_id) for run_id in ids])
    assert set(runs) == set(ids)
    assert (fake.asked("GET", LIST), fake.asked("GET", ONE)) == (3, 0)


async def test_nothing_to_follow_asks_nothing(fake: FakeAirflow) -> None:
    """No open run, no request."""
    async with open_airflow(options(fake)) as api:
        assert await api.runs([]) == {}
    assert fake.seen == []


async def test_smaller_pages_are_paged_through(fake: FakeAirflow) -> None:
    """A site with a smaller largest page costs more lists, not one request per run."""
    fake.largest_page = 7
    ids = [plant(fake, new_run_id()) for _ in range(20)]
    async with open_airflow(options(fake)) as api:
        assert set(await api.runs([(GOOD, run_id) for run_id in ids])) == set(ids)
    assert (fake.asked("GET", LIST), fake.asked("GET", ONE)) == (3, 0)


async def test_other_dags_with_the_same_id_are_not_ours(fake: FakeAirflow) -> None:
    """The same run id in another DAG is another run."""
    run_id = plant(fake, new_run_id(), "elsewhere", state="failed")
    async with open_airflow(options(fake)) as api:
        assert (await api.runs([(GOOD, run_id)]))[run_id].state == "vanished"


async def test_missing_from_a_list_is_not_vanished(fake: FakeAirflow) -> None:
    """A run that the list hides but that is there by id is followed; one that may not be read is not learned."""
    seen, hidden = plant(fake, new_run_id(), state="running"), plant(fake, new_run_id())
    empty = b'{"dag_runs": [], "total_entries": 0}'
    with (
        fake.fault("answer", path=LIST, status=200, body=empty),
        fake.fault("answer", path=hidden, status=403, body=b'{"detail": "Forbidden"}'),
    ):
        async with open_airflow(options(fake)) as api:
            runs = await api.runs([(GOOD, hidden), (GOOD, seen)])
    assert {run_id: run.state for run_id, run in runs.items()} == {seen: "running"}


@pytest.mark.parametrize("body", [b'{"error": "API route not found"}', b'{"detail": "Not Found"}', b"<html>"])
async def test_a_404_of_somebody_else_is_not_vanished(fake: FakeAirflow, body: bytes) -> None:
    """Only Airflow's own 404 for the run makes it vanished: a proxy's does not."""
    run_id = new_run_id()
    with fake.fault("answer", path=run_id, status=404, body=body):
        async with open_airflow(options(fake)) as api:
            with pytest.raises(AirflowError) as caught:
                await api.runs([(GOOD, run_id)])
    assert caught.value.code == "airflow-address"


async def test_silence_is_an_error_and_never_a_state(fake: FakeAirflow) -> None:
    """Without a usable answer to the first list nothing is concluded."""
    run_id = plant(fake, new_run_id())
    async with open_airflow(options(fake)) as api:
        with fake.fault("answer", path=LIST, status=500), pytest.raises(AirflowError, match="HTTP 500"):
            await api.runs([(GOOD, run_id)])
        with fake.fault("answer", path=LIST, status=200, body=b'{"x": 1}'), pytest.raises(AirflowError):
            await api.runs([(GOOD, run_id)])


async def test_what_was_learned_is_kept_when_airflow_goes_away(fake: FakeAirflow) -> None:
    """When a later request fails, the runs read before it are answered."""
    ids = sorted(plant(fake, new_run_id()) for _ in range(150))
    with fake.fault("drop", path=LIST, skip=1, times=5):
        async with open_airflow(options(fake)) as api:
            runs = await api.runs([(GOOD, run_id) for run_id in ids])
    assert sorted(runs) == ids[:100]
