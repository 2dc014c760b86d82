"""Track: open runs to their outcome, and silence proves nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.airflow_api.fake_airflow import FakeAirflow
from tests.conftest import NOON
from tests.flow import fired
from watcher.airflow_api import AirflowApi
from watcher.errors import AirflowError
from watcher.store import Store, batches
from watcher.store.batches import Batch
from watcher.track import Track


@pytest.fixture
async def confirmed(store: Store, api: AirflowApi, airflow: FakeAirflow) -> Batch:
    """A batch that is a queued run."""
    batch = await fired(store, 5, NOON)
    await api.trigger("orders", batch.dag_run_id, {"watcher": {"uid": batch.uid}}, "", batch.uid)
    return await batches.mark_confirmed(store, batch, "queued", "created", NOON)


async def test_nothing_is_asked_while_no_run_is_open(store: Store, api: AirflowApi, airflow: FakeAirflow) -> None:
    """An idle daemon costs Airflow nothing here."""
    assert await Track(store, api, print).step(NOON) is None
    assert airflow.seen == []


@pytest.mark.parametrize(("word", "state"), [("success", "succeeded"), ("failed", "failed")])
async def test_an_outcome_is_stored_and_told_once(
    store: Store, api: AirflowApi, airflow: FakeAirflow, confirmed: Batch, word: str, state: str
) -> None:
    """The pipeline is woken when its run ended, and the batch says how."""
    ended: list[str] = []
    track = Track(store, api, ended.append)
    run = airflow.runs["orders", confirmed.dag_run_id]
    run["state"] = "running"
    run["start_date"] = (NOON + timedelta(seconds=1)).isoformat()
    assert await track.step(NOON + timedelta(seconds=2)) is not None
    assert ended == []
    run |= {"state": word, "end_date": (NOON + timedelta(seconds=9)).isoformat()}
    await track.step(NOON + timedelta(seconds=10))
    await track.step(NOON + timedelta(seconds=12))
    read = await batches.find(store, confirmed.number)
    assert read is not None
    assert (read.state, ended) == (state, ["orders"])
    assert read.ended_at == NOON + timedelta(seconds=9)


async def test_a_deleted_run_is_vanished(store: Store, api: AirflowApi, airflow: FakeAirflow, confirmed: Batch) -> None:
    """Only a 404 for the very run says so."""
    airflow.runs.clear()
    await Track(store, api, lambda _: None).step(NOON + timedelta(seconds=2))
    read = await batches.find(store, confirmed.number)
    assert read is not None
    assert read.state == "vanished"


async def test_an_airflow_that_does_not_answer_changes_no_outcome(
    store: Store, api: AirflowApi, airflow: FakeAirflow, confirmed: Batch
) -> None:
    """The step is refused and repeated; the batch stays as it was."""
    with airflow.fault("answer", method="GET", path="/dagRuns", times=9), pytest.raises(AirflowError):
        await Track(store, api, print).step(NOON + timedelta(seconds=2))
    read = await batches.find(store, confirmed.number)
    assert read is not None
    assert read.state == "confirmed"
