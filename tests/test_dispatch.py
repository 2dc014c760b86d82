"""Dispatch: one run per batch whatever Airflow answers or does not answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.airflow_api.fake_airflow import FakeAirflow
from tests.conftest import NOON
from tests.flow import fired, found, pipeline
from watcher.airflow_api import AirflowApi
from watcher.decide import OPEN, decide
from watcher.detection import Detection, FileChange
from watcher.dispatch import Dispatch, DispatchOptions
from watcher.pipeline.model import Pipeline
from watcher.store import Store, batches, ledger, looks
from watcher.store.batches import Batch


class At:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def at() -> At:
    """Noon, until the test says otherwise."""
    return At()


@pytest.fixture
def dispatch(store: Store, api: AirflowApi, at: At, tmp_path: Path) -> Dispatch:
    """The service, at work for the pipeline `orders`."""
    defined: Callable[[str], Pipeline | None] = lambda name: pipeline({"changes": 1, "conf": {"load_type": "daily"}})  # noqa: E731
    return Dispatch(DispatchOptions(defined, tmp_path / "manifests", at), store, api, lambda: None)


async def deliver(dispatch: Dispatch, now: datetime) -> None:
    """One step and all that it took in hand."""
    await dispatch.step(now)
    await dispatch.drain()


async def again(store: Store, batch: Batch) -> Batch:
    """The batch as the store has it now."""
    read = await batches.find(store, batch.number)
    assert read is not None
    return read


def the_run(airflow: FakeAirflow) -> dict[str, object]:
    """The only run there is."""
    (run,) = airflow.runs.values()
    return run


async def test_a_due_batch_becomes_one_run_that_says_why(
    dispatch: Dispatch, store: Store, airflow: FakeAirflow
) -> None:
    """The run has the batch's own id and uid, the user's conf beside ours, and the reason first in its note."""
    batch = await fired(store, 5, NOON)
    await deliver(dispatch, NOON)
    run = the_run(airflow)
    assert run["dag_run_id"] == batch.dag_run_id
    assert run["conf"]["watcher"]["uid"] == batch.uid
    assert run["conf"]["load_type"] == "daily"
    assert run["note"].startswith("5 changes in files")
    assert (await again(store, batch)).state == "confirmed"


async def test_an_answer_lost_after_the_commit_is_verified_and_adopted(
    dispatch: Dispatch, store: Store, airflow: FakeAirflow, at: At
) -> None:
    """The run was made, its answer never came: the batch is unknown, then ours, and nothing is sent twice."""
    batch = await fired(store, 5, NOON)
    with airflow.fault("drop", method="POST", path="/dagRuns", after=True):
        await deliver(dispatch, NOON)
    unknown = await again(store, batch)
    assert (unknown.state, unknown.unknown, unknown.code) == ("ready", True, "airflow-no-answer")
    at.now += timedelta(minutes=10)
    await deliver(dispatch, at.now)
    assert (await again(store, batch)).state == "confirmed"
    assert airflow.asked("POST", "/dagRuns") == 1
    assert len(airflow.runs) == 1


async def test_an_answer_lost_before_the_commit_is_verified_and_sent_under_the_same_id(
    dispatch: Dispatch, store: Store, airflow: FakeAirflow, at: At
) -> None:
    """Nothing was made: the same id goes out again."""
    batch = await fired(store, 5, NOON)
    with airflow.fault("drop", method="POST", path="/dagRuns"):
        await deliver(dispatch, NOON)
    assert (await again(store, batch)).unknown
    at.now += timedelta(minutes=10)
    await deliver(dispatch, at.now)
    assert the_run(airflow)["dag_run_id"] == batch.dag_run_id
    assert (await again(store, batch)).attempts == 2


async def test_a_crash_between_answer_and_commit_adopts_the_run(
    dispatch: Dispatch, store: Store, airflow: FakeAirflow, at: At
) -> None:
    """The process died with the answer in hand: the next one finds the batch unknown and its run there."""
    batch = await fired(store, 5, NOON)
    with airflow.fault("hang", method="POST", path="/dagRuns", after=True):
        await dispatch.step(NOON)
        await airflow.arrival(1)
        await dispatch.cancel()
    assert (await again(store, batch)).unknown
    at.now += timedelta(minutes=10)
    await deliver(dispatch, at.now)
    assert (await again(store, batch)).state == "confirmed"
    assert len(airflow.runs) == 1


async def test_a_run_with_our_id_that_is_not_ours_parks_the_batch(
    dispatch: Dispatch, store: Store, airflow: FakeAirflow
) -> None:
    """Another installation has the id: nothing is taken for ours without our uid."""
    batch = await fired(store, 5, NOON)
    other = await fired(store, 1, NOON, name="other")
    airflow.dag("other")
    await deliver(dispatch, NOON)
    airflow.runs[("orders", batch.dag_run_id)]["conf"] = {"watcher": {"uid": "f" * 32}}
    second = await fired(store, 5, NOON + timedelta(seconds=1))
    airflow.runs[("orders", second.dag_run_id)] = {
        **airflow.runs[("orders", batch.dag_run_id)],
        "dag_run_id": second.dag_run_id,
    }
    await deliver(dispatch, NOON + timedelta(seconds=2))
    parked = await again(store, second)
    assert (parked.state, parked.code) == ("parked", "foreign-run")
    assert (await again(store, other)).state == "confirmed"


@pytest.mark.parametrize(
    ("state", "code"),
    [({"paused": True}, "dag-paused"), ({"stale": True}, "dag-unknown"), ({"forbidden": True}, "airflow-forbidden")],
)
async def test_what_heals_by_itself_is_held_not_parked(
    dispatch: Dispatch, store: Store, airflow: FakeAirflow, at: At, state: dict[str, bool], code: str
) -> None:
    """A batch already made waits for the gate and leaves when it opens."""
    airflow.dag("orders", **state)
    batch = await fired(store, 5, NOON)
    await deliver(dispatch, NOON)
    held = await again(store, batch)
    assert (held.state, held.code) == ("ready", code)
    assert airflow.runs == {}
    airflow.dag("orders", **dict.fromkeys(state, False))
    dispatch._api._gates._kept.clear()
    at.now += timedelta(minutes=10)
    await deliver(dispatch, at.now)
    assert (await again(store, batch)).state == "confirmed"


async def test_params_that_refuse_the_conf_park_the_batch(
    dispatch: Dispatch, store: Store, airflow: FakeAirflow
) -> None:
    """A person is needed; the batch keeps its changes and its reason."""
    airflow.dag("orders", params={"must": {"type": "string"}})
    batch = await fired(store, 5, NOON)
    await deliver(dispatch, NOON)
    parked = await again(store, batch)
    assert (parked.state, parked.code) == ("parked", "params-refused")
    assert "must" in parked.detail
    assert await ledger.unaccounted(store) == 0


async def test_airflow_that_asks_to_wait_is_obeyed_to_the_second(
    dispatch: Dispatch, store: Store, airflow: FakeAirflow, at: At
) -> None:
    """429 created nothing, so nothing is unknown; Retry-After says when the batch is due again."""
    batch = await fired(store, 5, NOON)
    with airflow.fault(
        "answer", method="POST", path="/dagRuns", status=429, headers={"Retry-After": "7"}, body=b"slow"
    ):
        await deliver(dispatch, NOON)
    held = await again(store, batch)
    assert (held.state, held.unknown) == ("ready", False)
    assert held.next_at == NOON + timedelta(seconds=7)
    at.now += timedelta(seconds=8)
    await deliver(dispatch, at.now)
    assert (await again(store, batch)).state == "confirmed"


async def test_a_batch_is_parked_after_seven_days(
    dispatch: Dispatch, store: Store, airflow: FakeAirflow, at: At
) -> None:
    """What could not be delivered for a week needs a person."""
    batch = await fired(store, 5, NOON)
    at.now += timedelta(days=7, seconds=1)
    await deliver(dispatch, at.now)
    parked = await again(store, batch)
    assert (parked.state, parked.code) == ("parked", "batch-too-old")
    assert airflow.runs == {}


async def test_one_request_per_dag_and_at_most_four_in_flight(
    dispatch: Dispatch, store: Store, airflow: FakeAirflow
) -> None:
    """A slow DAG holds up no other, and its own batches keep their order."""
    for number in range(6):
        airflow.dag(f"dag{number}")
        await fired(store, 1, NOON, name=f"dag{number}")
    await fired(store, 1, NOON + timedelta(seconds=1), name="dag0")
    with airflow.fault("hang", method="POST", path="/dag0/dagRuns"):
        await dispatch.step(NOON + timedelta(seconds=2))
        assert len(dispatch._hands) == 4
        await airflow.arrival(1, path="/dag0/dagRuns")
        while len(airflow.runs) < 5:
            await asyncio.wait(list(dispatch._hands.values()), return_when=asyncio.FIRST_COMPLETED)
            await dispatch.step(NOON + timedelta(seconds=2))
        assert airflow.asked("POST", "/dag0/dagRuns") == 1
        await dispatch.cancel()


async def test_a_long_list_of_files_goes_to_a_manifest(
    dispatch: Dispatch, store: Store, airflow: FakeAirflow, tmp_path: Path
) -> None:
    """Beyond 64 KiB the conf names a file that holds every path, written before the run exists."""
    files = tuple(FileChange(f"/data/{'x' * 80}/{n:05}.csv", "insert", 10) for n in range(2000))
    state = await looks.load(store, "orders", "files", "test", NOON)
    await looks.record(store, state, Detection({"n": 1}, 2000, {"insert": 2000}, 20000, files), NOON)
    trigger = pipeline().trigger
    assert trigger is not None
    await batches.fire(store, "orders", "orders", None, lambda pending: decide(trigger, pending, OPEN, NOON), NOON)
    await deliver(dispatch, NOON)
    watcher = the_run(airflow)["conf"]["watcher"]
    manifest = json.loads(await asyncio.to_thread(Path(watcher["manifest"]["path"]).read_text))
    assert len(json.dumps(watcher)) < 64 * 1024
    assert len(manifest["sources"]["files"]["files"]) == 2000


async def test_a_conf_that_can_never_fit_parks_its_batch_and_stops_nothing_else(
    store: Store, api: AirflowApi, airflow: FakeAirflow, at: At, tmp_path: Path
) -> None:
    """A person has to shorten it; the other pipeline's batch leaves."""
    endless = {f"key{n:04}": "x" * 60 for n in range(2000)}
    fits = pipeline({"changes": 1})
    huge = (
        fits.model_copy(update={"trigger": fits.trigger.model_copy(update={"conf": endless})}) if fits.trigger else fits
    )
    defined = {"orders": huge, "other": fits}
    service = Dispatch(DispatchOptions(defined.get, tmp_path / "manifests", at), store, api, lambda: None)
    airflow.dag("other")
    batch, other = await fired(store, 5, NOON), await fired(store, 1, NOON, name="other")
    await deliver(service, NOON)
    parked = await again(store, batch)
    assert (parked.state, parked.code) == ("parked", "request-refused")
    assert (await again(store, other)).state == "confirmed"


async def test_a_batch_whose_pipeline_is_not_loaded_waits_for_its_conf(
    store: Store, api: AirflowApi, airflow: FakeAirflow, at: At, tmp_path: Path
) -> None:
    """Its file is broken for now: nothing is sent half, and it leaves whole once the file is repaired."""
    loaded: dict[str, Pipeline] = {}
    service = Dispatch(DispatchOptions(loaded.get, tmp_path / "manifests", at), store, api, lambda: None)
    batch = await fired(store, 5, NOON)
    await deliver(service, NOON)
    held = await again(store, batch)
    assert (held.state, held.code, airflow.runs) == ("ready", "pipeline-not-loaded", {})
    loaded["orders"] = pipeline({"changes": 1, "conf": {"load_type": "daily"}})
    at.now += timedelta(minutes=1)
    await deliver(service, at.now)
    assert the_run(airflow)["conf"]["load_type"] == "daily"


async def test_pauses_grow_while_an_attempt_cannot_be_verified(
    dispatch: Dispatch, store: Store, airflow: FakeAirflow, at: At
) -> None:
    """An outage with a batch in flight costs a handful of looks, not one a second."""
    batch = await fired(store, 5, NOON)
    with airflow.fault("drop", method="POST", path="/dagRuns", after=True):
        await deliver(dispatch, NOON)
    with airflow.fault("answer", method="GET", path="/dagRuns", times=10_000):
        looks = 0
        while at.now < NOON + timedelta(minutes=30):
            at.now = max((await again(store, batch)).next_at, at.now + timedelta(seconds=1))
            await deliver(dispatch, at.now)
            looks += 1
    assert looks < 60


async def test_the_sums_hold_after_every_delivery(dispatch: Dispatch, store: Store, airflow: FakeAirflow) -> None:
    """Pending, ready and confirmed changes add up to what was recorded."""
    await fired(store, 5, NOON)
    await found(store, 3, NOON)
    await deliver(dispatch, NOON)
    (row,) = await ledger.sums(store)
    assert (row.recorded, row.pending, row.by_state["confirmed"]) == (8, 3, 5)
    assert await ledger.unaccounted(store) == 0
