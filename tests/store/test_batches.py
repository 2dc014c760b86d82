"""Batches on their way to a run: forward only, in order, and never forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from tests.store.making import NOW, later, ready
from watcher.errors import StoreError
from watcher.store import Store, batches, ledger
from watcher.store.batches import Batch, Postponed
from watcher.store.schema import STATES

Verb = Callable[[Store, Batch], Awaitable[Batch]]

VERBS: dict[str, Verb] = {
    "mark_sending": lambda store, batch: batches.mark_sending(store, batch, NOW),
    "mark_confirmed": lambda store, batch: batches.mark_confirmed(store, batch, "queued", "created", NOW),
    "postpone": lambda store, batch: batches.postpone(store, batch, Postponed("no-room", "full", NOW, False), NOW),
    "park": lambda store, batch: batches.park(store, batch, "params-refused", "n", NOW),
    "retry": lambda store, batch: batches.retry(store, batch, NOW),
    "discard": lambda store, batch: batches.discard(store, batch, "not wanted", NOW),
    "mark_running": lambda store, batch: batches.mark_running(store, batch, "running", NOW, NOW),
    "succeeded": lambda store, batch: batches.mark_ended(store, batch, "succeeded", NOW, NOW, NOW),
    "failed": lambda store, batch: batches.mark_ended(store, batch, "failed", NOW, NOW, NOW),
    "vanished": lambda store, batch: batches.mark_ended(store, batch, "vanished", None, None, NOW),
}
WAYS: dict[str, tuple[str, ...]] = {
    "ready": (),
    "confirmed": ("mark_confirmed",),
    "parked": ("park",),
    "succeeded": ("mark_confirmed", "succeeded"),
    "failed": ("mark_confirmed", "failed"),
    "vanished": ("mark_confirmed", "vanished"),
    "discarded": ("park", "discard"),
}
"""How a batch comes to each state."""

ALLOWED: dict[tuple[str, str], str] = {
    ("ready", "mark_sending"): "ready",
    ("ready", "postpone"): "ready",
    ("ready", "mark_confirmed"): "confirmed",
    ("ready", "park"): "parked",
    ("parked", "retry"): "ready",
    ("parked", "discard"): "discarded",
    ("confirmed", "mark_running"): "confirmed",
    ("confirmed", "succeeded"): "succeeded",
    ("confirmed", "failed"): "failed",
    ("confirmed", "vanished"): "vanished",
}


@pytest.mark.parametrize("state", STATES)
async def test_states_only_go_forward(store: Store, state: str) -> None:
    """From every state every verb either goes where the table says or is refused as our own bug and changes nothing."""
    for verb, act in VERBS.items():
        batch = await ready(store)
        for step in WAYS[state]:
            batch = await VERBS[step](store, batch)
        assert batch.state == state
        to = ALLOWED.get((state, verb))
        if to is not None:
            assert (await act(store, batch)).state == to
            continue
        with pytest.raises(StoreError) as refused:
            await act(store, batch)
        assert refused.value.code == "store-busy"
        assert await batches.find(store, batch.number) == batch
    assert await ledger.unaccounted(store) == 0


async def test_an_attempt_is_unknown_until_it_is_answered(store: Store) -> None:
    """Counted and unknown before the first byte; a postponed one says what is known; confirmed, nothing is open."""
    batch = await ready(store)
    batch = await batches.mark_sending(store, batch, later(1))
    assert (batch.attempts, batch.unknown, batch.sent_at) == (1, True, later(1))
    why = Postponed("airflow-no-answer", "timeout after 20 s", later(9), True)
    batch = await batches.postpone(store, batch, why, later(2))
    assert (batch.code, batch.detail, batch.next_at, batch.unknown) == (why.code, why.detail, later(9), True)
    batch = await batches.mark_sending(store, batch, later(9))
    batch = await batches.mark_confirmed(store, batch, "queued", "already-there", later(10))
    assert (batch.state, batch.unknown, batch.attempts) == ("confirmed", False, 2)
    assert (batch.run_state, batch.answer, batch.confirmed_at) == ("queued", "already-there", later(10))
    assert (batch.code, batch.detail, batch.changed_at) == (None, "", later(10))
    assert await batches.find(store, batch.number) == batch


async def test_a_run_is_followed_to_its_end(store: Store) -> None:
    """Open until the end is known; Airflow's times and words are kept."""
    batch = await batches.mark_confirmed(store, await ready(store), "queued", "created", later(1))
    assert await batches.open_runs(store) == [batch]
    batch = await batches.mark_running(store, batch, "running", later(3), later(4))
    assert (batch.state, batch.run_state, batch.started_at) == ("confirmed", "running", later(3))
    batch = await batches.mark_ended(store, batch, "failed", later(3), later(44), later(45))
    assert (batch.run_state, batch.started_at, batch.ended_at) == ("failed", later(3), later(44))
    assert await batches.open_runs(store) == []


async def test_a_vanished_run_keeps_its_last_words(store: Store) -> None:
    """It says why it is over and is never due again."""
    batch = await batches.mark_confirmed(store, await ready(store), "queued", "created", later(1))
    batch = await batches.mark_running(store, batch, "running", later(3), later(4))
    batch = await batches.mark_ended(store, batch, "vanished", None, None, later(9))
    assert (batch.code, batch.run_state, batch.started_at, batch.ended_at) == (
        "run-vanished",
        "running",
        later(3),
        None,
    )
    assert await batches.due(store, later(99), 9) == []


async def test_a_parked_batch_keeps_its_run_id_when_retried(store: Store) -> None:
    """It is due at once, under the same id and uid; what is unknown stays so and is verified first."""
    parked = await batches.park(store, await ready(store), "batch-too-old", "7 days", later(1), unknown=True)
    assert (parked.code, parked.detail, parked.unknown) == ("batch-too-old", "7 days", True)
    assert await batches.due(store, later(2), 9) == []
    again = await batches.retry(store, parked, later(2))
    assert again == replace(parked, state="ready", next_at=later(2), code=None, detail="", changed_at=later(2))
    assert await batches.due(store, later(2), 9) == [again]


async def test_an_unknown_batch_cannot_be_discarded(store: Store) -> None:
    """Its run may exist: nobody may say that its changes will never run."""
    parked = await batches.park(store, await ready(store), "batch-too-old", "7 days", later(1), unknown=True)
    with pytest.raises(StoreError):
        await batches.discard(store, parked, "not wanted", later(2))
    assert await batches.find(store, parked.number) == parked


async def test_due_is_the_oldest_of_each_dag(store: Store) -> None:
    """Runs of one DAG keep their order: a later batch waits for the one before it, however long that is postponed."""
    first, second = await ready(store), await ready(store)
    other = await ready(store, "stock", "stock")
    shared = await ready(store, "stock", "orders")
    assert [batch.number for batch in await batches.due(store, NOW, 9)] == [first.number, other.number]
    assert await batches.due(store, NOW, 1) == [first]
    await batches.postpone(store, first, Postponed("airflow-unreachable", "", later(60), False), NOW)
    assert await batches.due(store, later(59), 9) == [other]
    assert await batches.next_due(store) == NOW
    await batches.mark_confirmed(store, other, "queued", "created", NOW)
    assert await batches.next_due(store) == later(60)
    await batches.park(store, first, "params-refused", "", later(60))
    assert await batches.due(store, later(60), 9) == [second]
    await batches.mark_confirmed(store, second, "queued", "created", NOW)
    assert await batches.due(store, later(60), 9) == [shared]
    await batches.mark_confirmed(store, shared, "queued", "created", NOW)
    assert await batches.next_due(store) is None


async def test_the_longest_due_comes_first(store: Store) -> None:
    """With few hands nobody starves."""
    numbers = [(await ready(store, f"p{number}", f"d{number}", now=later(-number))).number for number in range(4)]
    assert [batch.number for batch in await batches.due(store, NOW, 3)] == numbers[:0:-1]


async def test_two_that_confirm_at_once_confirm_once(store: Store, twin: Store) -> None:
    """The second one is told that the batch has moved."""
    batch = await ready(store)
    answers = await asyncio.gather(
        *(batches.mark_confirmed(one, batch, "queued", "created", NOW) for one in (store, twin)), return_exceptions=True
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["Batch", "StoreError"]


async def test_an_unknown_number_is_no_batch(store: Store) -> None:
    """Asking for it is no error."""
    assert await batches.find(store, 17) is None
