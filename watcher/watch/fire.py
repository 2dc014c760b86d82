"""One pipeline: decide on what is pending, and make the batch in the transaction that decided."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from watcher import events
from watcher.decide import OPEN, Decision, Gate, Pending, Wait, decide, largest_within
from watcher.pipeline.model import Pipeline, Trigger
from watcher.pipeline.run import batch_name
from watcher.store import Store, batches
from watcher.store import pipelines as stored_pipelines

FIRST_LOOK_AT_GATE, LONGEST_LOOK_AT_GATE = 1.0, 30.0
"""Seconds between two looks at a closed gate: soon at first, since most gates open again within seconds."""

AskGate = Callable[[str], Awaitable[Gate]]


class Fire:
    """The service of one pipeline. It steps when a detection was recorded, a run ended, or time alone may decide."""

    def __init__(self, pipeline: Pipeline, store: Store, ask_gate: AskGate, fired: Callable[[], None]) -> None:
        assert pipeline.trigger is not None  # noqa: S101 - a pipeline without a trigger is never fired
        self._trigger: Trigger = pipeline.trigger
        self._name, self._dag_id = pipeline.name, pipeline.run_dag_id
        self._store, self._ask_gate, self._fired = store, ask_gate, fired
        self._within = largest_within(self._trigger)
        self._gate: Gate | None = None
        self._looks_at_gate = 0
        self._told = 0

    async def step(self, now: datetime) -> float | None:
        """Fires at most one batch; answers the seconds until time alone may change the decision, None for never."""
        pending = await batches.pending(self._store, self._name, self._within, now)
        decision = decide(self._trigger, pending, OPEN, now)
        waiting = sum(arrival.changes for arrival in pending.arrivals)
        events.pending_measured(
            self._name,
            changes=waiting,
            bytes=sum(arrival.bytes for arrival in pending.arrivals),
            oldest=min((arrival.first_at for arrival in pending.arrivals), default=None),
        )
        if isinstance(decision, Wait):
            self._tell(waiting, decision)
            return None if decision.until is None else max(0.0, (decision.until - now).total_seconds())
        gate = await self._ask_gate(self._dag_id)
        await self._gate_seen(gate, waiting, now)
        if not gate.open:
            return self._until_next_look_at_gate()
        return await self._fire(gate, now)

    async def _fire(self, gate: Gate, now: datetime) -> float:
        def on_rows_it_stamps(pending: Pending) -> Decision:
            return decide(self._trigger, pending, gate, now)

        fired = await batches.fire(self._store, self._name, self._dag_id, self._within, on_rows_it_stamps, now)
        self._told = 0
        if (batch := fired.batch) is not None:
            events.batch_fired(
                self._name,
                batch_name(batch.number),
                kind=batch.kind,
                reason=batch.reason,
                changes=batch.changes,
                dag_run_id=batch.dag_run_id,
            )
            self._fired()
        return 0.0  # there may be another batch in what came meanwhile or did not fit

    async def _gate_seen(self, gate: Gate, waiting: int, now: datetime) -> None:
        self._looks_at_gate = 0 if gate.open else self._looks_at_gate + 1
        if self._gate is not None and self._gate.code == gate.code:
            return
        moved = self._gate is not None or not gate.open  # an open gate at the first look is no news
        self._gate = gate
        await stored_pipelines.set_gate(self._store, self._name, gate.code, gate.sentence, now)
        if moved:
            events.gate_moved(self._name, code=gate.code, sentence=gate.sentence, waiting=waiting)

    def _until_next_look_at_gate(self) -> float:
        return min(LONGEST_LOOK_AT_GATE, FIRST_LOOK_AT_GATE * 2.0 ** min(self._looks_at_gate - 1, 5))

    def _tell(self, waiting: int, decision: Wait) -> None:
        """One line per change of what waits, with the limit it waits for."""
        if waiting in (0, self._told):
            return
        self._told = waiting
        limit = self._trigger.changes
        unmet = next((condition.text for condition in decision.because if not condition.met), decision.state)
        sentence = f"{waiting:,} of {limit:,} changes waiting" if limit else f"{waiting:,} changes waiting: {unmet}"
        events.changes_waiting(self._name, waiting, limit, sentence)
