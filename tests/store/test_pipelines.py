"""How every pipeline stands, at one moment."""

from __future__ import annotations

from tests.store.making import NOW, at_commit, crash, fired, found, later, load, ready, recorded
from watcher.store import Store, batches, looks, pipelines
from watcher.store.pipelines import PipelineOverview


async def test_an_empty_store_has_no_pipelines(store: Store) -> None:
    """Nothing was ever looked at."""
    assert await pipelines.overview(store) == ()


async def test_overview_shows_each_pipeline(store: Store) -> None:
    """Sources, what waits and since when, open batches by state, the last and the oldest parked one, the gate."""
    failing = await looks.mark_failed(store, await load(store, "api"), "source-slow", "slow", later(1))
    first = await batches.park(store, await ready(store), "params-refused", "n", later(1))
    await batches.park(store, await ready(store), "foreign-run", "", later(2))
    ended = await batches.mark_confirmed(store, await ready(store), "queued", "created", later(3))
    await batches.mark_ended(store, ended, "succeeded", later(3), later(4), later(5))
    await batches.mark_confirmed(store, await ready(store), "queued", "created", later(6))
    last = await ready(store)
    await recorded(store, found(2, {"at": 8}, bytes=5), now=later(7))
    source = await recorded(store, found(3, {"at": 9}, bytes=6), now=later(9))
    await pipelines.set_gate(store, "orders", "dag-paused", "DAG orders is paused.", later(8))
    await load(store, pipeline="stock")
    orders, stock = await pipelines.overview(store)
    assert orders == PipelineOverview(
        pipeline="orders",
        sources=(failing, source),
        pending_changes=5,
        pending_bytes=11,
        pending_files=0,
        pending_oldest=later(7),
        batches={"ready": 1, "confirmed": 1, "parked": 2},
        last_batch=last,
        parked=first,
        gate_code="dag-paused",
        gate_sentence="DAG orders is paused.",
        gate_since=later(8),
    )
    assert stock == PipelineOverview("stock", sources=(await load(store, pipeline="stock"),))


async def test_a_gate_is_written_only_when_it_moves(store: Store) -> None:
    """The same again is no write; another sentence keeps `since`, another code begins anew."""
    assert await pipelines.set_gate(store, "orders", "dag-paused", "paused", later(0))
    with at_commit(crash):
        assert not await pipelines.set_gate(store, "orders", "dag-paused", "paused", later(1))
    assert await pipelines.set_gate(store, "orders", "dag-paused", "still paused", later(2))
    assert await _gate(store) == ("dag-paused", "still paused", later(0))
    assert await pipelines.set_gate(store, "orders", "no-room", "full", later(3))
    assert await _gate(store) == ("no-room", "full", later(3))
    assert await pipelines.set_gate(store, "orders", None, "", later(4))
    assert await _gate(store) == (None, "", later(4))
    with at_commit(crash):
        assert not await pipelines.set_gate(store, "orders", None, "", later(5))


async def test_a_first_open_gate_is_remembered(store: Store) -> None:
    """Asked and open is not the same as never asked."""
    await recorded(store, found())
    assert await _gate(store) == (None, "", None)
    assert await pipelines.set_gate(store, "orders", None, "", NOW)
    assert await _gate(store) == (None, "", NOW)


async def test_a_gate_changes_nothing_else(store: Store) -> None:
    """What waits and when it last fired stay."""
    await recorded(store, found())
    await fired(store)
    before = await batches.pending(store, "orders", None, later(2))
    await pipelines.set_gate(store, "orders", "no-room", "full", later(1))
    assert await batches.pending(store, "orders", None, later(2)) == before


async def _gate(store: Store) -> tuple[str | None, str, object]:
    (row,) = await pipelines.overview(store)
    return row.gate_code, row.gate_sentence, row.gate_since
