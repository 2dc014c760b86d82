"""Fire: decides on what is pending, asks the gate only when it matters, and makes the batch in one transaction."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.airflow_api.fake_airflow import FakeAirflow
from tests.conftest import NOON
from tests.flow import found, pipeline
from watcher.airflow_api import AirflowApi
from watcher.decide import Gate
from watcher.store import Store, batches
from watcher.store import pipelines as stored
from watcher.watch import Fire

LIMIT_5 = {"changes": 5, "max_wait": "10m"}


class Fired:
    """Counts how often dispatch was woken."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


def service(store: Store, api: AirflowApi, trigger: dict[str, object], fired: Fired | None = None) -> Fire:
    """The service of the pipeline `orders`."""

    async def ask(dag_id: str) -> Gate:
        return await api.gate(dag_id, fresh=True)

    return Fire(pipeline(trigger), store, ask, fired or Fired())


async def test_below_the_limit_it_waits_until_max_wait_and_asks_nobody(
    store: Store, api: AirflowApi, airflow: FakeAirflow
) -> None:
    """The pause ends exactly when time alone would fire."""
    await found(store, 4, NOON)
    assert await service(store, api, LIMIT_5).step(NOON + timedelta(minutes=4)) == 360
    assert airflow.seen == []


async def test_at_the_limit_all_that_waits_becomes_one_batch(
    store: Store, api: AirflowApi, airflow: FakeAirflow
) -> None:
    """Two detections, one batch, dispatch woken once."""
    await found(store, 4, NOON)
    await found(store, 3, NOON)
    fired = Fired()
    await service(store, api, LIMIT_5, fired).step(NOON)
    (batch,) = await batches.due(store, NOON, 9)
    assert (batch.changes, batch.reason, fired.times) == (7, "changes 7 >= 5", 1)
    assert (await batches.pending(store, "orders", None, NOON)).arrivals == ()


@pytest.mark.parametrize(
    ("state", "code"), [({"paused": True}, "dag-paused"), ({"stale": True}, "dag-unknown")], ids=["paused", "unknown"]
)
async def test_a_closed_gate_makes_no_batch_and_merges_what_waits(
    store: Store, api: AirflowApi, airflow: FakeAirflow, state: dict[str, bool], code: str
) -> None:
    """Changes stay pending while the gate is closed and leave as one batch when it opens."""
    airflow.dag("orders", **state)
    fire = service(store, api, LIMIT_5)
    await found(store, 6, NOON)
    pause = await fire.step(NOON)
    assert pause is not None
    assert pause <= 30
    await found(store, 6, NOON + timedelta(seconds=9))
    await fire.step(NOON + timedelta(seconds=9))
    assert await batches.due(store, NOON + timedelta(hours=1), 9) == []
    (row,) = await stored.overview(store)
    assert row.gate_code == code
    airflow.dag("orders", **dict.fromkeys(state, False))
    await fire.step(NOON + timedelta(seconds=20))
    (batch,) = await batches.due(store, NOON + timedelta(hours=1), 9)
    assert batch.changes == 12
    (row,) = await stored.overview(store)
    assert row.gate_code is None


async def test_coalesce_keeps_collecting_while_a_run_is_open(
    store: Store, api: AirflowApi, airflow: FakeAirflow
) -> None:
    """A second batch is made only after the first one's run has ended."""
    fire = service(store, api, LIMIT_5)
    await found(store, 5, NOON)
    await fire.step(NOON)
    (first,) = await batches.due(store, NOON, 9)
    first = await batches.mark_confirmed(store, first, "queued", "created", NOON)
    await found(store, 50, NOON)
    assert await fire.step(NOON + timedelta(hours=1)) is None
    await batches.mark_ended(store, first, "succeeded", NOON, NOON, NOON)
    await fire.step(NOON + timedelta(hours=1))
    (second,) = await batches.due(store, NOON + timedelta(hours=1), 9)
    assert second.changes == 50


async def test_max_batch_leaves_the_rest_for_the_next_batch(
    store: Store, api: AirflowApi, airflow: FakeAirflow
) -> None:
    """A batch holds at most so many changes, and nothing is left behind."""
    fire = service(store, api, {"changes": 1, "max_batch": 10, "while_running": "parallel"})
    for _ in range(5):
        await found(store, 5, NOON)
    for _ in range(4):
        await fire.step(NOON)
    made = []
    while due := await batches.due(store, NOON, 1):
        made.append(due[0].changes)
        await batches.mark_confirmed(store, due[0], "queued", "created", NOON)
    assert made == [10, 10, 5]
