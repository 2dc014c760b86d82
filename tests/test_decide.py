"""The promises of decide() as properties, held against an oracle of its own."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

from hypothesis import example, given
from hypothesis import strategies as st

from tests.deciding import (
    NOW,
    PAUSED,
    arrival,
    calm,
    due,
    free,
    gates,
    overdue,
    patient,
    pendings,
    reached,
    seconds,
    total,
    triggers,
)
from watcher.decide import MAX_OPEN, OPEN, Arrival, Fire, Gate, Pending, Wait, decide, largest_within
from watcher.pipeline.figures import size
from watcher.pipeline.model import Branch, Trigger
from watcher.pipeline.values import format_duration


@patient
@given(triggers(), pendings(future=200), gates)
def test_never_fires_empty(trigger: Trigger, pending: Pending, gate: Gate) -> None:
    """Without a pending change nothing fires, whatever the rest says, and nothing is waited for."""
    nothing = tuple(replace(one, changes=0) for one in pending.arrivals)
    for empty in ((), nothing):
        decision = decide(trigger, replace(pending, arrivals=empty), gate, NOW)
        assert isinstance(decision, Wait)
        assert (decision.until, decision.state) == (None, "quiet")


@patient
@given(triggers(), pendings(), gates)
def test_fires_exactly_when_an_independent_reading_of_the_trigger_says_so(
    trigger: Trigger, pending: Pending, gate: Gate
) -> None:
    """Never earlier than a limit allows, and never later than it asks."""
    decision = decide(trigger, pending, gate, NOW)
    assert isinstance(decision, Fire) == (due(trigger, pending, NOW) and free(trigger, pending, gate))


@patient
@given(triggers(), pendings(free=True), st.integers(0, 30))
def test_never_later_than_max_wait_while_the_gate_is_open(trigger: Trigger, pending: Pending, late: int) -> None:
    """From max_wait after the first change on, every look fires: limits, settle and cooldown do not matter."""
    if trigger.max_wait is None or not pending.arrivals:
        return
    deadline = min(one.first_at for one in pending.arrivals) + trigger.max_wait
    assert isinstance(decide(trigger, pending, OPEN, max(deadline, NOW) + seconds(late)), Fire)
    waiting = decide(trigger, pending, OPEN, NOW)
    if isinstance(waiting, Wait):
        assert waiting.until is not None
        assert NOW < waiting.until <= deadline


@patient
@given(triggers(), pendings(future=90), gates, st.randoms(use_true_random=False))
def test_the_same_facts_give_the_same_decision(trigger: Trigger, pending: Pending, gate: Gate, random: Random) -> None:
    """Deterministic, and the order in which arrivals are handed in does not matter."""
    shuffled = list(pending.arrivals)
    random.shuffle(shuffled)
    once = decide(trigger, pending, gate, NOW)
    assert once == decide(trigger, pending, gate, NOW)
    assert once == decide(trigger, replace(pending, arrivals=tuple(shuffled)), gate, NOW)


PART = re.compile(r"(?:(\S+) )?(changes|bytes|files) (.+) >= (\S+(?: \w?B)?)(?: within (\S+))?")


def check_part(text: str, trigger: Trigger, pending: Pending) -> str:
    """That one limit of a reason stands in the trigger and that its numbers are those of pending; gives its measure."""
    found = PART.fullmatch(text)
    assert found is not None, text
    source, measure, have, limit, within = found.groups()
    for node in every_node(trigger):
        asked = {"changes": node.changes, "bytes": node.bytes, "files": node.files}[measure]
        same = (getattr(node, "source", None), node.within and format_duration(node.within)) == (source, within)
        if asked is None or not same:
            continue
        value = total(pending.arrivals, measure, node, NOW)
        words = (size(value), size(asked)) if measure == "bytes" else (str(value), str(asked))
        if words == (have, limit):
            assert value >= asked
            return measure
    raise AssertionError(f"no limit of the trigger reads {text!r}")


def every_node(node: Trigger | Branch) -> list[Trigger | Branch]:
    return [node, *(inner for branch in (*(node.any or ()), *(node.all or ())) for inner in every_node(branch))]


@patient
@given(triggers(), pendings())
def test_the_reason_it_gives_is_true(trigger: Trigger, pending: Pending) -> None:
    """Every number in a reason is one of the trigger or one of what is pending, and the kind is that of the first."""
    decision = decide(trigger, pending, OPEN, NOW)
    if isinstance(decision, Wait):
        return
    if decision.kind == "max_wait":
        assert trigger.max_wait is not None
        assert decision.reason == f"max_wait {format_duration(trigger.max_wait)}"
        assert overdue(trigger, pending, NOW)
    elif decision.kind == "settle":
        assert decision.reason == f"settle {format_duration(trigger.settle)}"
        assert calm(trigger, pending, NOW)
    else:
        measures = [check_part(part, trigger, pending) for part in decision.reason.split(" and ")]
        assert decision.kind == measures[0]
        assert reached(trigger, pending.arrivals, NOW)


@patient
@given(triggers(), pendings())
def test_because_names_every_condition_and_answers_it_truly(trigger: Trigger, pending: Pending) -> None:
    """One line for each thing that was asked, in the same order every time, each with the answer of the oracle."""
    because = decide(trigger, pending, PAUSED, NOW).because
    names = [line.name for line in because]
    asked = [name for name in ("settle", "cooldown") if getattr(trigger, name)]
    timing = (["max_wait"] if trigger.max_wait else []) + asked + ["running", "gate"]
    assert names[len(names) - len(timing) :] == timing
    answers = {line.name: line.met for line in because}
    assert answers["gate"] is False
    assert answers["running"] == free(trigger, pending, OPEN)
    assert answers.get("max_wait", False) == overdue(trigger, pending, NOW)
    if trigger.any or trigger.all:
        assert because[0].met == reached(trigger, pending.arrivals, NOW)
    elif trigger.limited:
        assert any(line.met for line in because[: len(names) - len(timing)]) == reached(trigger, pending.arrivals, NOW)


@patient
@given(triggers(), pendings(future=30, free=True))
@example(Trigger(changes=1, within=seconds(3), settle=seconds(5)), Pending((arrival(first=1),)))
def test_nothing_fires_before_until_without_new_input(trigger: Trigger, pending: Pending) -> None:
    """Stepping through time: every look before `until` still waits; without `until` all of them do."""
    decision = decide(trigger, pending, OPEN, NOW)
    if isinstance(decision, Fire):
        return
    moments = [NOW + seconds(step) for step in range(130)]
    if decision.until is not None:
        assert decision.until > NOW
        moments.append(decision.until - timedelta(microseconds=1))
    early = [moment for moment in moments if decision.until is None or moment < decision.until]
    assert all(isinstance(decide(trigger, pending, OPEN, moment), Wait) for moment in early)


@patient
@given(triggers(), pendings(free=True))
def test_until_is_exact_where_no_stored_time_is_ahead(trigger: Trigger, pending: Pending) -> None:
    """A look at `until` fires: nobody is woken in vain."""
    decision = decide(trigger, pending, OPEN, NOW)
    if isinstance(decision, Wait) and decision.until is not None:
        assert isinstance(decide(trigger, pending, OPEN, decision.until), Fire)


@patient
@given(triggers(), pendings(future=200))
def test_a_closed_gate_never_fires_and_waits_for_no_time(trigger: Trigger, pending: Pending) -> None:
    """Only the gate itself can change the answer, so there is no moment to wait for."""
    decision = decide(trigger, pending, PAUSED, NOW)
    assert isinstance(decision, Wait)
    assert decision.until is None
    assert decision.because[-1].text == PAUSED.sentence


@patient
@given(triggers(), pendings(future=200), gates)
def test_collecting_and_no_room_never_fire(trigger: Trigger, pending: Pending, gate: Gate) -> None:
    """An open batch holds back coalesce, an unconfirmed one queue, sixteen all of them."""
    if free(trigger, pending, OPEN):
        pending = replace(pending, open_batches=MAX_OPEN)
    decision = decide(trigger, pending, gate, NOW)
    assert isinstance(decision, Wait)
    assert decision.until is None


@patient
@given(triggers(), pendings())
def test_a_batch_holds_at_most_max_batch(trigger: Trigger, pending: Pending) -> None:
    """Whatever fires, it carries the trigger's own bound."""
    decision = decide(trigger, pending, OPEN, NOW)
    if isinstance(decision, Fire):
        assert decision.max_changes == trigger.max_batch


def folded(pending: Pending, within: timedelta | None, now: datetime) -> Pending:
    """What the store makes of it: one arrival per source for all that is older than every `within`."""
    kept, old = [], defaultdict(list)
    for one in pending.arrivals:
        if within is None or one.last_at <= now - within:
            old[one.source_id].append(one)
        else:
            kept.append(one)
    for source_id, ones in old.items():
        times = (min(one.first_at for one in ones), max(one.last_at for one in ones))
        kept.append(
            Arrival(
                source_id, *times, *(sum(getattr(one, name) for one in ones) for name in ("changes", "bytes", "files"))
            )
        )
    return replace(pending, arrivals=tuple(kept))


@patient
@given(triggers(), pendings(), gates)
def test_folding_what_is_older_than_every_within_changes_nothing(
    trigger: Trigger, pending: Pending, gate: Gate
) -> None:
    """A million old detections may be handed in as one per source: the decision is the same to the last word."""
    small_pending = folded(pending, largest_within(trigger), NOW)
    assert decide(trigger, small_pending, gate, NOW) == decide(trigger, pending, gate, NOW)


@patient
@given(triggers(), pendings(future=40_000, free=True))
def test_a_stored_time_in_the_future_delays_nothing_for_ever(trigger: Trigger, pending: Pending) -> None:
    """However far ahead a clock once was, waking at each `until` fires within a few lengths of the trigger's timing."""
    sure = largest_within(trigger) is None and reached(trigger, pending.arrivals, NOW)
    if not pending.arrivals or (trigger.max_wait is None and not sure):
        return
    longest = trigger.max_wait or max(trigger.settle, trigger.cooldown)
    rounds, moment = len(pending.arrivals) + 2, NOW
    for _ in range(rounds):
        decision = decide(trigger, pending, OPEN, moment)
        if isinstance(decision, Fire):
            break
        assert decision.until is not None
        moment = decision.until
    assert isinstance(decision, Fire)
    assert moment <= NOW + 2 * longest * (1 if trigger.max_wait else rounds)
