"""The whole store against a plain model of it, through random histories with crashes and restarts."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.store.conftest import empty, sqlite_url
from tests.store.making import NOW, CrashError, at_commit, crash, fire_up_to, found, later, load
from watcher.errors import WatcherError
from watcher.store import Store, batches, ledger, looks, open_store
from watcher.store.batches import Batch, Outcome, Postponed
from watcher.store.looks import SourceState

_Answer = TypeVar("_Answer")
SOURCES = st.sampled_from(["db", "files", "api"])
COUNTS = st.integers(0, 5)


@dataclass
class Held:
    """What the model knows of a batch."""

    changes: Counter[str]
    state: str = "ready"
    unknown: bool = False


@dataclass
class Model:
    """The store as lists and numbers."""

    waiting: list[tuple[str, int]] = field(default_factory=list)
    batches: list[Held] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    cursors: dict[str, int] = field(default_factory=dict)


class History(RuleBasedStateMachine):
    """One life of a store. Every rule does the same to the store and to the model."""

    fresh: Callable[[], str]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.model = Model()
        self.stale: dict[str, SourceState] = {}
        self.look = 0

    @initialize()
    def open(self) -> None:
        self.url = type(self).fresh()
        self.store = self._run(self._enter())

    @rule(source=SOURCES, changes=COUNTS, filtered=COUNTS, repeated=COUNTS, crashes=st.booleans())
    def record(self, source: str, changes: int, filtered: int, repeated: int, crashes: bool) -> None:
        self.look += 1
        state = self._run(load(self.store, source))
        detection = found(changes, {"look": self.look}, filtered=filtered, repeated=repeated)
        if not self._survives(looks.record(self.store, state, detection, NOW), crashes):
            return
        self.stale[source] = state
        self.model.cursors[source] = self.look
        self.model.seen[source] += changes + filtered + repeated
        if changes:
            self.model.waiting.append((source, changes))

    @rule(source=SOURCES, changes=COUNTS)
    def record_from_an_old_cursor(self, source: str, changes: int) -> None:
        if source in self.stale:
            detection = found(changes, {"look": -1})
            assert self._run(looks.record(self.store, self.stale[source], detection, NOW)) is None

    @rule(most=st.none() | st.integers(1, 8), crashes=st.booleans())
    def fire(self, most: int | None, crashes: bool) -> None:
        fire = batches.fire(self.store, "orders", "orders", None, fire_up_to(most), NOW)
        if not self._survives(fire, crashes and bool(self.model.waiting)) or not self.model.waiting:
            return
        taken = 1
        while taken < len(self.model.waiting) and self._sum(taken + 1) <= (most or 10**9):
            taken += 1
        held: Counter[str] = Counter()
        for source, changes in self.model.waiting[:taken]:
            held[source] += changes
        del self.model.waiting[:taken]
        self.model.batches.append(Held(held))

    @precondition(lambda self: self._in("ready"))
    @rule(data=st.data())
    def send_without_an_answer(self, data: st.DataObject) -> None:
        batch, held = self._pick(data, "ready")
        sent = self._run(batches.mark_sending(self.store, batch, NOW))
        self._run(batches.postpone(self.store, sent, Postponed("airflow-no-answer", "", later(9), True), NOW))
        held.unknown = True

    @precondition(lambda self: self._in("ready"))
    @rule(data=st.data(), crashes=st.booleans())
    def confirm(self, data: st.DataObject, crashes: bool) -> None:
        batch, held = self._pick(data, "ready")
        if self._survives(batches.mark_confirmed(self.store, batch, "queued", "created", NOW), crashes):
            held.state, held.unknown = "confirmed", False

    @precondition(lambda self: self._in("ready"))
    @rule(data=st.data())
    def park(self, data: st.DataObject) -> None:
        batch, held = self._pick(data, "ready")
        self._run(batches.park(self.store, batch, "batch-too-old", "", NOW, unknown=batch.unknown))
        held.state = "parked"

    @precondition(lambda self: self._in("parked"))
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        batch, held = self._pick(data, "parked")
        self._run(batches.retry(self.store, batch, NOW))
        held.state = "ready"

    @precondition(lambda self: self._in("parked"))
    @rule(data=st.data())
    def discard(self, data: st.DataObject) -> None:
        batch, held = self._pick(data, "parked")
        if held.unknown:
            with pytest.raises(WatcherError):
                self._run(batches.discard(self.store, batch, "not wanted", NOW))
            return
        self._run(batches.discard(self.store, batch, "not wanted", NOW))
        held.state = "discarded"

    @precondition(lambda self: self._in("confirmed"))
    @rule(data=st.data(), outcome=st.sampled_from(["succeeded", "failed", "vanished"]))
    def end(self, data: st.DataObject, outcome: Outcome) -> None:
        batch, held = self._pick(data, "confirmed")
        self._run(batches.mark_ended(self.store, batch, outcome, NOW, later(1), later(1)))
        held.state = outcome

    @rule()
    def restart(self) -> None:
        self._run(self.stack.aclose())
        self.stack = AsyncExitStack()
        self.store = self._run(self._enter())

    @invariant()
    def the_store_is_the_model(self) -> None:
        self._run(self._compare())

    def teardown(self) -> None:
        try:
            self._run(self._compare_batches())
        finally:
            self._run(self.stack.aclose())
            self.runner.close()

    async def _compare(self) -> None:
        assert await ledger.unaccounted(self.store) == 0
        waiting: Counter[str] = Counter()
        for source, changes in self.model.waiting:
            waiting[source] += changes
        for sums in await ledger.sums(self.store):
            by_state: Counter[str] = Counter()
            for held in self.model.batches:
                by_state[held.state] += held.changes[sums.source_id]
            assert sums.seen == self.model.seen[sums.source_id]
            assert sums.pending == waiting[sums.source_id]
            assert sums.by_state == +by_state
            cursor = self.model.cursors.get(sums.source_id)
            assert (await load(self.store, sums.source_id)).cursor == (None if cursor is None else {"look": cursor})
        pending = await batches.pending(self.store, "orders", None, NOW)
        states = [held.state for held in self.model.batches]
        assert {arrival.source_id: arrival.changes for arrival in pending.arrivals} == waiting
        assert pending.unconfirmed == states.count("ready")
        assert pending.open_batches == states.count("ready") + states.count("confirmed")

    async def _compare_batches(self) -> None:
        for number, held in enumerate(self.model.batches, start=1):
            batch = await batches.find(self.store, number)
            assert batch is not None
            assert (batch.state, batch.unknown, batch.changes) == (held.state, held.unknown, held.changes.total())
            facts = await batches.facts(self.store, batch)
            assert {source.source_id: source.changes for source in facts.sources} == held.changes
        assert await batches.find(self.store, len(self.model.batches) + 1) is None

    async def _enter(self) -> Store:
        return await self.stack.enter_async_context(open_store(self.url))

    def _run(self, work: Coroutine[Any, Any, _Answer]) -> _Answer:
        return self.runner.run(work)

    def _survives(self, work: Coroutine[Any, Any, Any], crashes: bool) -> bool:
        """Runs `work`, or lets it end just before its commit: then the model must not change."""
        if not crashes:
            self._run(work)
            return True
        with at_commit(crash), pytest.raises(CrashError):
            self._run(work)
        return False

    def _sum(self, first: int) -> int:
        return sum(changes for _, changes in self.model.waiting[:first])

    def _in(self, state: str) -> list[int]:
        return [number for number, held in enumerate(self.model.batches, start=1) if held.state == state]

    def _pick(self, data: st.DataObject, state: str) -> tuple[Batch, Held]:
        number = data.draw(st.sampled_from(self._in(state)))
        batch = self._run(batches.find(self.store, number))
        assert batch is not None
        return batch, self.model.batches[number - 1]


PROFILE = settings(
    max_examples=10,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def test_sums_hold_after_every_step_on_sqlite(migrated_file: Path, tmp_path: Path) -> None:
    """Through record, fire, crash, send, park, end and restart: store and model agree, and no change is lost."""

    def fresh() -> str:
        shutil.rmtree(tmp_path / "state", ignore_errors=True)
        (tmp_path / "state").mkdir()
        shutil.copy(migrated_file, tmp_path / "state" / "watcher.db")
        return sqlite_url(tmp_path)

    _live(fresh)


def test_sums_hold_after_every_step_on_postgresql(migrated_database: str) -> None:
    """The same histories on the other database."""

    def fresh() -> str:
        empty(migrated_database)
        return migrated_database

    _live(fresh)


def _live(fresh: Callable[[], str]) -> None:
    History.fresh = staticmethod(fresh)
    run_state_machine_as_test(History, settings=PROFILE)  # type: ignore[no-untyped-call]
