"""Look: what was found and the cursor are stored together; a failing source is told on the edge and delays nobody."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.conftest import NOON
from watcher.detection import Detection, InventoryChange
from watcher.detectors import Context, identity, make_detector
from watcher.pipeline.model import DatabaseSource
from watcher.store import Store, batches, looks
from watcher.watch import Look, LookOptions


class Shop:
    """A real SQLite database with a table of orders, and the look at it."""

    def __init__(self, path: Path, store: Store, recorded: Callable[[], None]) -> None:
        self.path, self._store, self._recorded = path, store, recorded
        self.execute("create table orders(id integer primary key, changed_at integer)")

    def execute(self, statement: str) -> None:
        with sqlite3.connect(self.path) as connection:
            connection.execute(statement)
        connection.close()

    def insert(self, *ids: int) -> None:
        for number in ids:
            self.execute(f"insert into orders values({number}, {number})")

    def look(self, limit: int = 50_000) -> Look:
        source = DatabaseSource.model_validate(
            {
                "source_id": "shop",
                "source_type": "database",
                "connection": "shop_db",
                "table": "orders",
                "watch": {"method": "timestamp", "column": "changed_at", "start_from": "beginning"},
            }
        )
        detector = make_detector(source, Context(f"sqlite:///{self.path}"))
        return Look(LookOptions("orders", source, identity(source), limit), detector, self._store, self._recorded)


@pytest.fixture
def recorded() -> list[bool]:
    """Grows each time the pipeline was told to decide."""
    return []


@pytest.fixture
def shop(tmp_path: Path, store: Store, recorded: list[bool]) -> Shop:
    """An empty shop."""
    return Shop(tmp_path / "shop.db", store, lambda: recorded.append(True))


async def pending(store: Store) -> int:
    return sum(arrival.changes for arrival in (await batches.pending(store, "orders", None, NOON)).arrivals)


async def test_changes_are_pending_once_and_the_pipeline_is_told(
    shop: Shop, store: Store, recorded: list[bool]
) -> None:
    """Three rows, three looks: three changes, and one wake."""
    look = shop.look()
    shop.insert(1, 2, 3)
    for _ in range(3):
        await look.step(NOON)
    await look.close()
    assert (await pending(store), recorded) == (3, [True])


async def test_a_restart_goes_on_from_the_stored_cursor(shop: Shop, store: Store) -> None:
    """A new process finds what came meanwhile, and only that."""
    first = shop.look()
    shop.insert(1, 2, 3)
    await first.step(NOON)
    await first.close()
    shop.insert(4, 5)
    second = shop.look()
    await second.step(NOON)
    await second.close()
    assert await pending(store) == 5


async def test_more_than_one_look_holds_is_fetched_at_once(shop: Shop, store: Store) -> None:
    """At the limit the next look follows without a pause, until all is seen."""
    look = shop.look(limit=2)
    shop.insert(1, 2, 3, 4, 5)
    pauses = [await look.step(NOON)]
    while pauses[-1] == 0.0 and len(pauses) < 9:
        pauses.append(await look.step(NOON))
    await look.close()
    assert pauses[:2] == [0.0, 0.0]
    assert pauses[-1] > 1
    assert await pending(store) == 5


async def test_a_cursor_moved_by_somebody_else_makes_the_look_count_for_nothing(shop: Shop, store: Store) -> None:
    """Compare and set: what two found is stored once."""
    ours, theirs = shop.look(), shop.look()
    await ours.step(NOON)
    await theirs.step(NOON)
    shop.insert(1, 2, 3)
    await theirs.step(NOON)
    assert await ours.step(NOON) == 0.0
    await ours.step(NOON)
    for look in (ours, theirs):
        await look.close()
    assert await pending(store) == 3


async def test_a_failing_source_is_told_at_its_1st_2nd_4th_failure_and_when_it_works_again(
    shop: Shop, store: Store
) -> None:
    """The cursor stays, the lines are few, and nothing made meanwhile is lost."""
    look = shop.look()
    shop.insert(1)
    await look.step(NOON)
    shop.execute("alter table orders rename to elsewhere")
    with capture_logs() as lines:
        for minute in range(6):
            pause = await look.step(NOON + timedelta(minutes=minute))
            assert 0 < pause <= 300
        shop.execute("insert into elsewhere values(2, 2)")
        shop.execute("alter table elsewhere rename to orders")
        await look.step(NOON + timedelta(minutes=9))
    await look.close()
    told = [(line["event"], line.get("count"), line.get("code")) for line in lines if line["event"].startswith("look")]
    assert told == [
        ("look_failed", 1, "source-schema"),
        ("look_failed", 2, "source-schema"),
        ("look_failed", 4, "source-schema"),
        ("look_recovered", 6, None),
    ]
    assert await pending(store) == 2


async def test_a_changed_definition_starts_anew_and_keeps_what_waits(shop: Shop, store: Store) -> None:
    """Another table under the same id: its cursor means nothing any more, what was found stays pending."""
    look = shop.look()
    shop.insert(1, 2)
    await look.step(NOON)
    await look.close()
    state = await looks.load(store, "orders", "shop", "something else", NOON)
    assert state.cursor is None
    assert await pending(store) == 2
    stored = await looks.record(store, state, Detection({"n": 1}, inventory=InventoryChange()), NOON)
    assert stored is not None


async def test_a_detector_that_raises_anything_is_a_failing_source_not_a_dead_daemon(store: Store) -> None:
    """A host name that no resolver accepts raises in the standard library; the look fails and is repeated."""
    source = DatabaseSource.model_validate(
        {
            "source_id": "shop",
            "source_type": "database",
            "connection": "shop_db",
            "table": "orders",
            "watch": {"method": "timestamp", "column": "changed_at", "notify": "changed"},
        }
    )
    detector = make_detector(source, Context("postgresql://u@ho..st/d"))
    look = Look(LookOptions("orders", source, identity(source)), detector, store, lambda: None)
    with capture_logs() as lines:
        assert await look.step(NOON) > 0
    await look.close()
    (told,) = [line for line in lines if line["event"] == "look_failed"]
    assert told["code"] in ("detector-failed", "source-unreachable")
