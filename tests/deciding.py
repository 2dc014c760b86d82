"""Triggers and pending changes as Hypothesis draws them, and an oracle that reads a trigger the slow and plain way."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from watcher.decide import MAX_OPEN, OPEN, Arrival, Gate, Pending
from watcher.pipeline.model import Branch, Trigger

NOW = datetime(2026, 11, 22, 14, 10, 6, tzinfo=UTC)
PAUSED = Gate("dag-paused", 'DAG "orders" is paused in Airflow')
SOURCES = ("crm_db", "web_events", "landing")


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def arrival(
    source_id: str = "orders_db", changes: int = 1, first: float = 0, last: float | None = None, **more: int
) -> Arrival:
    """An arrival `first` to `last` seconds ago; below zero is the future."""
    last = first if last is None else last
    return Arrival(
        source_id, NOW - seconds(first), NOW - seconds(last), changes, more.get("bytes", 0), more.get("files", 0)
    )


patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine makes no property red."""

# -- what Hypothesis draws ---------------------------------------------------------------------------------------------

lengths = st.integers(1, 40).map(seconds)
small = st.integers(1, 12)
limits = st.fixed_dictionaries({"changes": small}) | st.fixed_dictionaries(
    {"bytes": small.map("{}B".format), "files": small}
)
leaves = st.builds(
    lambda limit, source, within: Branch(source=source, within=within, **limit),
    limits,
    st.none() | st.sampled_from(SOURCES),
    st.none() | lengths,
)
branches = st.recursive(
    leaves,
    lambda inner: st.builds(
        lambda kind, several: Branch(**{kind: tuple(several)}),
        st.sampled_from(("any", "all")),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=5,
)
rules = st.one_of(
    st.builds(lambda limit, within: {**limit, "within": within}, limits, st.none() | lengths),
    st.builds(
        lambda kind, several: {kind: tuple(several)},
        st.sampled_from(("any", "all")),
        st.lists(branches, min_size=1, max_size=3),
    ),
    st.just({}),
)


@st.composite
def triggers(draw: st.DrawFn) -> Trigger:
    timing = {
        "max_wait": draw(st.none() | lengths),
        "settle": draw(st.just(timedelta()) | lengths),
        "cooldown": draw(st.just(timedelta()) | lengths),
        "while_running": draw(st.sampled_from(("coalesce", "queue", "parallel"))),
        "max_batch": draw(st.none() | small),
    }
    return Trigger(**{**timing, **draw(rules)})


@st.composite
def arrivals(draw: st.DrawFn, *, future: int = 0) -> tuple[Arrival, ...]:
    several = []
    for _ in range(draw(st.integers(0, 6))):
        last = draw(st.integers(-future, 60))
        first = draw(st.integers(last, 60))
        amounts = {"bytes": draw(st.integers(0, 12)), "files": draw(st.integers(0, 12))}
        several.append(arrival(draw(st.sampled_from(SOURCES)), draw(st.integers(1, 8)), first, last, **amounts))
    return tuple(several)


@st.composite
def pendings(draw: st.DrawFn, *, future: int = 0, free: bool = False) -> Pending:
    unconfirmed = 0 if free else draw(st.sampled_from((0, 0, 1)))
    open_batches = unconfirmed + (0 if free else draw(st.sampled_from((0, 0, 0, 1, MAX_OPEN))))
    fired = draw(st.none() | st.integers(-future, 60).map(lambda ago: NOW - seconds(ago)))
    return Pending(draw(arrivals(future=future)), fired, open_batches, unconfirmed)


gates = st.sampled_from((OPEN, OPEN, PAUSED))


# -- the oracle --------------------------------------------------------------------------------------------------------


def total(pending: Sequence[Arrival], measure: str, node: Trigger | Branch, now: datetime) -> int:
    source = node.source if isinstance(node, Branch) else None
    found = 0
    for one in pending:
        if source in (None, one.source_id) and (node.within is None or one.last_at > now - node.within):
            found += {"changes": one.changes, "bytes": one.bytes, "files": one.files}[measure]
    return found


def reached(node: Trigger | Branch, pending: Sequence[Arrival], now: datetime) -> bool:
    """The tree, evaluated the slow and plain way."""
    if node.any is not None:
        return any(reached(branch, pending, now) for branch in node.any)
    if node.all is not None:
        return all(reached(branch, pending, now) for branch in node.all)
    asked = [
        (measure, limit)
        for measure, limit in (("changes", node.changes), ("bytes", node.bytes), ("files", node.files))
        if limit
    ]
    return any(total(pending, measure, node, now) >= limit for measure, limit in asked)


def without_limits(trigger: Trigger) -> bool:
    return not (trigger.limited or trigger.any or trigger.all)


def calm(trigger: Trigger, pending: Pending, now: datetime) -> bool:
    quiet = all(now - one.last_at >= trigger.settle for one in pending.arrivals)
    cooled = pending.last_fired_at is None or now - pending.last_fired_at >= trigger.cooldown
    return quiet and cooled


def overdue(trigger: Trigger, pending: Pending, now: datetime) -> bool:
    return trigger.max_wait is not None and any(now - one.first_at >= trigger.max_wait for one in pending.arrivals)


def free(trigger: Trigger, pending: Pending, gate: Gate) -> bool:
    if gate.code is not None or pending.open_batches >= MAX_OPEN:
        return False
    waits_for = {"coalesce": pending.open_batches, "queue": pending.unconfirmed, "parallel": 0}
    return waits_for[trigger.while_running] == 0


def due(trigger: Trigger, pending: Pending, now: datetime) -> bool:
    by_limit = reached(trigger, pending.arrivals, now) or (without_limits(trigger) and trigger.settle > timedelta())
    return bool(pending.arrivals) and (overdue(trigger, pending, now) or (by_limit and calm(trigger, pending, now)))
