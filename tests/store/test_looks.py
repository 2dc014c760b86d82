"""Recording a look: everything that it found, once, from where it began."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from tests.store.making import NOW, CrashError, at_commit, crash, fired, found, later, load, recorded
from watcher.detection import Cursor, FileChange, InventoryChange, Known, Range
from watcher.errors import SourceError
from watcher.store import Store, batches, ledger, looks, pipelines
from watcher.store.schema import detection
from watcher.store.source import SourceState


async def test_a_new_source_has_no_cursor(store: Store) -> None:
    """The first load makes the row; its detector starts from nothing."""
    state = await looks.load(store, "orders", "db", "table", NOW)
    assert state == replace(_NEW, row=state.row)
    assert await looks.load(store, "orders", "db", "table", later(60)) == state


async def test_loading_at_once_makes_one_source(store: Store, twin: Store) -> None:
    """Several that start together get the same row."""
    states = await asyncio.gather(*(load(one, f"db{number % 2}") for number in range(6) for one in (store, twin)))
    assert len({state.row for state in states}) == 2


async def test_the_first_record_moves_the_cursor_and_stores_the_detection(store: Store) -> None:
    """The state after it is what the next load answers; the detection is pending with its time of recording."""
    state = await load(store)
    after = await looks.record(store, state, found(3, {"at": 7}, bytes=10, filtered=2, repeated=1), later(5))
    expected = replace(state, revision=1, cursor={"at": 7}, last_look_at=later(5), last_change_at=later(5))
    assert after == expected
    assert await load(store) == expected
    (arrival,) = (await batches.pending(store, "orders", None, later(6))).arrivals
    assert (arrival.changes, arrival.bytes, arrival.files) == (3, 10, 0)
    assert (arrival.first_at, arrival.last_at) == (later(5), later(5))
    (sums,) = await ledger.sums(store)
    assert (sums.seen, sums.recorded, sums.filtered, sums.repeated, sums.pending) == (6, 3, 2, 1, 3)


async def test_a_second_writer_from_the_same_cursor_is_refused(store: Store, twin: Store) -> None:
    """Of two looks that began at one cursor one is stored, whichever comes first; the other changes nothing."""
    state = await load(store)
    answers = await asyncio.gather(
        looks.record(store, state, found(1, {"at": 1}, inventory=InventoryChange(put={"a": Known("1")})), NOW),
        looks.record(twin, state, found(2, {"at": 2}, inventory=InventoryChange(put={"b": Known("1")})), NOW),
    )
    (stored,) = (answer for answer in answers if answer is not None)
    assert await load(store) == stored
    assert await _detections(store) == 1
    assert len(await looks.StoredInventory(store, "orders", "db").read()) == 1
    assert await looks.record(twin, state, found(1, {"at": 3}), NOW) is None
    assert await ledger.unaccounted(store) == 0


async def test_a_look_that_found_nothing_writes_nothing(store: Store) -> None:
    """The same cursor, no changes, the same inventory: no transaction at all, and never a refusal."""
    state = await recorded(store, found(1, {"at": 1}))
    with at_commit(crash):
        after = await looks.record(store, state, found(0, {"at": 1}, repeated=4), later(30))
    assert after == replace(state, last_look_at=later(30))
    assert await load(store) == state


@pytest.mark.parametrize("cursor", [{"at": 1.0}, {"at": True}, {"at": "1"}, {"at": 1, "more": None}, {}])
async def test_a_cursor_that_only_looks_equal_is_stored(store: Store, cursor: Cursor) -> None:
    """What is equal in Python and not in JSON is another position."""
    state = await recorded(store, found(1, {"at": 1}))
    after = await looks.record(store, state, found(0, cursor) if cursor else replace(found(0), cursor={}), NOW)
    assert after is not None
    assert after.revision == 2
    assert repr((await load(store)).cursor) == repr(cursor)


async def test_a_moved_cursor_without_changes_makes_no_detection(store: Store) -> None:
    """The cursor and the counts of what was left out are stored; nothing is pending."""
    state = await recorded(store, found(0, {"at": 9}, filtered=3, repeated=2))
    assert (state.cursor, state.last_change_at) == ({"at": 9}, None)
    assert await _detections(store) == 0
    (sums,) = await ledger.sums(store)
    assert (sums.seen, sums.filtered, sums.repeated, sums.recorded) == (5, 3, 2, 0)


async def test_a_crash_between_stores_neither_detection_nor_cursor_nor_inventory(store: Store) -> None:
    """The three are one transaction; after the crash the same look is recorded as if nothing had been."""
    state = await load(store)
    files = (FileChange("/a", "insert", 1),)
    detection = found(1, {"at": 1}, files=files, inventory=InventoryChange(put={"a": Known("1")}))
    with at_commit(crash), pytest.raises(CrashError):
        await looks.record(store, state, detection, NOW)
    assert await load(store) == state
    assert await _detections(store) == 0
    assert await looks.StoredInventory(store, "orders", "db").read() == {}
    assert await ledger.unaccounted(store) == 0
    assert await looks.record(store, state, detection, NOW) is not None


async def test_another_kind_of_source_starts_anew(store: Store) -> None:
    """A cursor of something else is never handed on; what was found before stays pending and keeps its sums."""
    old = await recorded(store, found(2, {"at": 1}, inventory=InventoryChange(put={"a": Known("1")})))
    await looks.mark_failed(store, old, "source-slow", "slow", NOW)
    new = await load(store, kind="log")
    assert new == replace(old, kind="log", cursor=None, revision=2)
    assert await looks.StoredInventory(store, "orders", "db").read() == {}
    assert await looks.record(store, old, found(1, {"at": 2}), NOW) is None
    assert [a.changes for a in (await batches.pending(store, "orders", None, NOW)).arrivals] == [2]
    assert await ledger.unaccounted(store) == 0
    assert await load(store, kind="log") == new


async def test_everything_of_a_detection_reaches_the_batch(store: Store) -> None:
    """Files in order, range, cursors and times come out of the store as the detector gave them."""
    files = tuple(FileChange(f"/landing/{number}", "update", number) for number in range(5000))
    where = Range("updated_at", "2026-11-22T14:00:00Z", "2026-11-22T14:10:00Z")
    more = {"bytes": 9, "files": files, "range": where, "first_change_at": later(-60), "last_change_at": later(-1)}
    await recorded(store, found(5000, {"at": [1, None, {"deep": "ü"}]}, **more))
    facts = await batches.facts(store, await fired(store))
    (source,) = facts.sources
    assert source.files == files
    assert source.range == where
    assert (source.cursor_from, source.cursor_to) == (None, {"at": [1, None, {"deep": "ü"}]})
    assert (facts.first_change_at, facts.last_change_at) == (later(-60), later(-1))


async def test_failures_are_counted_from_the_first(store: Store) -> None:
    """The cursor stays, `failing_since` is that of the first failure, and a good look ends it."""
    state = await recorded(store, found(1, {"at": 1}))
    state = await looks.mark_failed(store, state, "source-slow", "no answer within 20 s", later(1))
    state = await looks.mark_failed(store, state, "source-unreachable", "refused", later(2))
    assert (state.failures, state.failing_since, state.last_look_at) == (2, later(1), later(2))
    assert (state.code, state.message, state.cursor) == ("source-unreachable", "refused", {"at": 1})
    assert (await pipelines.overview(store))[0].sources == (state,)
    stored = await looks.record(store, state, found(1, {"at": 2}), later(3))
    assert stored is not None
    well = await looks.mark_recovered(store, stored, later(3))
    assert (well.failures, well.failing_since, well.code, well.message) == (0, None, None, None)
    assert well.cursor == {"at": 2}


@pytest.mark.parametrize("position", [float("nan"), {1, 2}, b"x"])
async def test_a_cursor_that_is_not_json_is_the_detectors_fault(store: Store, position: object) -> None:
    """It is refused before anything is written, with a code that says who has to act."""
    state = await load(store)
    with pytest.raises(SourceError) as refused:
        await looks.record(store, state, found(1, {"at": position}), NOW)  # type: ignore[dict-item]
    assert refused.value.code == "detector-failed"
    assert await load(store) == state


async def _detections(store: Store) -> int:
    async with store.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(detection))).scalar_one())


_NEW = SourceState(
    pipeline="orders",
    source_id="db",
    kind="table",
    revision=0,
    cursor=None,
    last_look_at=None,
    last_change_at=None,
    failing_since=None,
    failures=0,
    code=None,
    message=None,
    row=0,
)
