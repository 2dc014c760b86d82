"""What the run is told: sums, stretches and files of all detections in a batch."""

from __future__ import annotations

import pytest

from tests.store.making import NOW, fire_up_to, fired, found, later, recorded
from watcher.detection import Detection, FileChange, Json, Range
from watcher.store import Store, batches
from watcher.store.handover import merge


async def test_detections_of_a_source_become_one(store: Store) -> None:
    """Changes, bytes and operations are summed; the cursor goes from the first to the last; files keep their order."""
    first = Detection(
        cursor={"at": 1},
        changes=3,
        operations={"insert": 2, "delete": 1},
        bytes=10,
        files=(FileChange("/b", "insert", 10), FileChange("/a", "delete", 0)),
        range=Range("n", None, 5),
    )
    second = Detection(
        cursor={"at": 2},
        changes=2,
        operations={"insert": 1, "update": 1},
        bytes=7,
        files=(FileChange("/a", "insert", 7),),
        range=Range("n", 4, 9),
    )
    await recorded(store, first)
    await recorded(store, second)
    facts = await batches.facts(store, await fired(store))
    (source,) = facts.sources
    assert (source.source_id, source.changes, source.bytes) == ("db", 5, 17)
    assert source.operations == {"insert": 3, "update": 1, "delete": 1}
    assert (source.cursor_from, source.cursor_to) == (None, {"at": 2})
    assert source.range == Range("n", None, 9)
    assert [file.path for file in source.files] == ["/b", "/a", "/a"]


async def test_facts_are_of_one_batch_only(store: Store) -> None:
    """The next batch begins where the last one ended, and has the names of its own row."""
    for position in (1, 2):
        await recorded(store, found(2, {"at": position}, range=Range("n", position, position + 1)))
    first = (await batches.fire(store, "orders", "dag", None, fire_up_to(2), NOW)).batch
    second = await fired(store, now=later(1))
    assert first is not None
    facts = await batches.facts(store, second)
    assert (facts.number, facts.uid, facts.dag_run_id) == (second.number, second.uid, second.dag_run_id)
    assert (facts.pipeline, facts.dag_id, facts.reason, facts.fired_at) == ("orders", "orders", "by test", later(1))
    (source,) = facts.sources
    assert (source.cursor_from, source.cursor_to, source.range) == ({"at": 1}, {"at": 2}, Range("n", 2, 3))
    (source,) = (await batches.facts(store, first)).sources
    assert (source.cursor_from, source.cursor_to) == (None, {"at": 1})


async def test_facts_do_not_change_as_the_batch_moves(store: Store) -> None:
    """Every attempt sends the same, also when more was found meanwhile."""
    await recorded(store, found(2, {"at": 1}))
    batch = await fired(store)
    before = await batches.facts(store, batch)
    await recorded(store, found(2, {"at": 2}))
    moved = await batches.mark_sending(store, batch, later(1))
    assert await batches.facts(store, moved) == before


N1, N2 = Range("n", 1, 2), Range("n", 2, 5)


@pytest.mark.parametrize(
    ("ranges", "merged"),
    [
        ([], None),
        ([N1], N1),
        ([N1, N2], Range("n", 1, 5)),
        ([N2, N1], Range("n", 1, 5)),
        ([N1, None], None),
        ([N1, Range("m", 2, 5)], None),
        ([Range("n", None, 2), N2], Range("n", None, 5)),
        ([N1, Range("n", 0.5, 1.5)], Range("n", 0.5, 2)),
        ([Range("n", "2026-01", "2026-03"), Range("n", "2025-12", "2026-02")], Range("n", "2025-12", "2026-03")),
    ],
)
def test_ranges_merge_to_what_covers_all(ranges: list[Range | None], merged: Range | None) -> None:
    """Lowest and highest, natively compared; no claim where one detection has none or another column."""
    assert merge(ranges) == merged


def test_an_open_high_end_stays_open() -> None:
    """Nothing is claimed about an end that a detector did not name."""
    high: Json = None
    assert merge([N1, Range("n", 2, high)]) == Range("n", 1, None)
