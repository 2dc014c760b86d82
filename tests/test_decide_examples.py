"""decide() by example: the exact words of its reasons, its states, and what clocks can do to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.deciding import NOW, PAUSED, arrival, seconds
from watcher.decide import MAX_OPEN, OPEN, Arrival, Decision, Fire, Gate, Pending, Wait, decide, largest_within
from watcher.pipeline.model import Branch, Trigger


def test_a_clock_set_back_by_a_day_fires_once_and_starts_no_storm() -> None:
    """What was stored before the jump leaves in one run; what comes after it obeys the trigger again."""
    trigger = Trigger(changes=1000, max_wait=seconds(600), cooldown=seconds(120))
    stale = Pending((arrival(changes=5, first=-86_400),), NOW + timedelta(days=1))
    first = decide(trigger, stale, OPEN, NOW)
    assert isinstance(first, Fire)
    assert first.reason == "max_wait 10m, the clock was set back"
    after = decide(trigger, Pending((arrival(changes=5),), NOW), OPEN, NOW)
    assert isinstance(after, Wait)
    assert after.until == NOW + seconds(600)


def test_a_stored_time_is_believed_as_far_ahead_as_its_own_length() -> None:
    """The border between a clock that is slightly ahead and one that was set back."""
    trigger = Trigger(max_wait=seconds(600))
    waiting = decide(trigger, Pending((arrival(first=-600),)), OPEN, NOW)
    assert isinstance(waiting, Wait)
    assert waiting.until == NOW + seconds(1200)
    assert isinstance(decide(trigger, Pending((arrival(first=-600.001),)), OPEN, NOW), Fire)


def test_a_time_far_ahead_hides_no_fresh_arrival_from_settle() -> None:
    """Only the impossible time is left out; what has just arrived must still become quiet."""
    pending = Pending((arrival(first=-86_400), arrival(first=5)))
    decision = decide(Trigger(changes=1, settle=seconds(20)), pending, OPEN, NOW)
    assert isinstance(decision, Wait)
    assert (decision.state, decision.until) == ("settling", NOW + seconds(15))


def test_a_clock_slightly_ahead_only_shifts_the_wait() -> None:
    """Half a second between two machines neither fires at once nor is shown as an age below zero."""
    decision = decide(Trigger(max_wait=seconds(600)), Pending((arrival(first=-0.5),)), OPEN, NOW)
    assert isinstance(decision, Wait)
    assert decision.until == NOW + seconds(600.5)
    assert decision.because[0].text == "max_wait 0s of 10m"


def test_the_end_of_time_is_no_error() -> None:
    """Times and lengths at the edge of the calendar are compared, never overflown."""
    end = datetime.max.replace(tzinfo=UTC)
    trigger = Trigger(changes=5, max_wait=timedelta(days=3650), settle=seconds(1))
    decision = decide(trigger, Pending((Arrival("orders_db", end, end, 1),), end), OPEN, end)
    assert isinstance(decision, Wait)
    assert decision.until == end


# -- largest_within ----------------------------------------------------------------------------------------------------


def test_largest_within_looks_at_every_branch() -> None:
    """The store may fold what is older than the largest window anywhere in the tree."""
    inner = Branch(any=(Branch(changes=1, within=seconds(30)), Branch(changes=9, within=seconds(90)), Branch(files=1)))
    assert largest_within(Trigger(all=(inner, Branch(changes=1, within=seconds(60))))) == seconds(90)
    assert largest_within(Trigger(changes=1, within=seconds(7))) == seconds(7)
    assert largest_within(Trigger(changes=1)) is None


# -- examples ----------------------------------------------------------------------------------------------------------

BOTH = Trigger(
    any=(
        Branch(all=(Branch(source="crm_db", changes=5000), Branch(source="web_events", bytes="1GB"))),
        Branch(source="scoring", changes=1),
    ),
    max_wait=timedelta(hours=6),
)
CRM, WEB = arrival("crm_db", 5000, 60), arrival("web_events", 3, 60, bytes=10**9)
FIRES: list[tuple[str, Trigger, Pending, str, str]] = [
    ("a count", Trigger(changes=1000), Pending((arrival(changes=1042),)), "changes", "changes 1042 >= 1000"),
    ("exactly the limit", Trigger(files=24), Pending((arrival(files=24),)), "files", "files 24 >= 24"),
    (
        "bytes in readable sizes",
        Trigger(bytes="50MB"),
        Pending((arrival(bytes=52_400_000),)),
        "bytes",
        "bytes 52.4 MB >= 50.0 MB",
    ),
    (
        "whichever limit side by side is reached",
        Trigger(changes=1000, bytes="5KB"),
        Pending((arrival(changes=9, bytes=5000),)),
        "bytes",
        "bytes 5.0 kB >= 5.0 kB",
    ),
    ("max_wait alone", Trigger(max_wait=seconds(600)), Pending((arrival(first=600),)), "max_wait", "max_wait 10m"),
    (
        "max_wait beats limit, settle and cooldown",
        Trigger(changes=99, settle=seconds(20), cooldown=seconds(120), max_wait=seconds(600)),
        Pending((arrival(first=601, last=0),), NOW),
        "max_wait",
        "max_wait 10m",
    ),
    (
        "settle is the rule where there is no limit",
        Trigger(settle=seconds(20), max_wait=seconds(600)),
        Pending((arrival(first=30),)),
        "settle",
        "settle 20s",
    ),
    (
        "within says its window",
        Trigger(changes=5, within=seconds(600)),
        Pending((arrival(changes=5, first=10), arrival(changes=7, first=600))),
        "changes",
        "changes 5 >= 5 within 10m",
    ),
    (
        "every branch of all",
        BOTH,
        Pending((CRM, WEB)),
        "changes",
        "crm_db changes 5000 >= 5000 and web_events bytes 1.0 GB >= 1.0 GB",
    ),
    (
        "only the branch of any that is met",
        BOTH,
        Pending((CRM, arrival("scoring"))),
        "changes",
        "scoring changes 1 >= 1",
    ),
    (
        "parallel beside an open batch",
        Trigger(while_running="parallel"),
        Pending((arrival(),), None, 15, 1),
        "changes",
        "changes 1 >= 1",
    ),
    (
        "queue once the last is confirmed",
        Trigger(while_running="queue"),
        Pending((arrival(),), None, 3, 0),
        "changes",
        "changes 1 >= 1",
    ),
]


@pytest.mark.parametrize(
    ("trigger", "pending", "kind", "reason"), [row[1:] for row in FIRES], ids=[row[0] for row in FIRES]
)
def test_fires_with_this_reason(trigger: Trigger, pending: Pending, kind: str, reason: str) -> None:
    """The exact words of a reason, which conf, note, log and pages show."""
    decision = decide(trigger, pending, OPEN, NOW)
    assert isinstance(decision, Fire)
    assert (decision.kind, decision.reason) == (kind, reason)


def test_a_reason_with_many_branches_stays_short() -> None:
    """Eight limits are named, the rest is counted."""
    branches = tuple(Branch(source=f"s{number}", changes=1) for number in range(11))
    decision = decide(Trigger(all=branches), Pending(tuple(arrival(f"s{number}") for number in range(11))), OPEN, NOW)
    assert isinstance(decision, Fire)
    assert decision.reason.endswith("s7 changes 1 >= 1 and 3 more")


CALM = Trigger(changes=5, settle=seconds(20), cooldown=seconds(120))
WAITS: list[tuple[str, Trigger, Pending, Gate, str, float | None]] = [
    ("nothing waits", CALM, Pending(), PAUSED, "quiet", None),
    ("too few changes", CALM, Pending((arrival(changes=4),)), OPEN, "pending", None),
    (
        "too few until max_wait",
        Trigger(changes=5, max_wait=seconds(60)),
        Pending((arrival(first=10),)),
        OPEN,
        "pending",
        50,
    ),
    ("changes still arrive", CALM, Pending((arrival(changes=5, first=8),)), OPEN, "settling", 12),
    ("settling ends with the cooldown", CALM, Pending((arrival(changes=5, first=8),), NOW), OPEN, "settling", 120),
    ("the cooldown lasts", CALM, Pending((arrival(changes=5, first=60),), NOW - seconds(40)), OPEN, "cooling", 80),
    (
        "max_wait before settle and cooldown end",
        Trigger(changes=5, settle=seconds(20), cooldown=seconds(120), max_wait=seconds(30)),
        Pending((arrival(changes=5, first=20, last=1),), NOW),
        OPEN,
        "settling",
        10,
    ),
    (
        "a window that lapses before it is quiet",
        Trigger(changes=5, within=seconds(10), settle=seconds(20)),
        Pending((arrival(changes=5, first=1),)),
        OPEN,
        "settling",
        None,
    ),
    ("paused in Airflow", CALM, Pending((arrival(changes=5, first=60),)), PAUSED, "held", None),
    ("paused with too few changes", CALM, Pending((arrival(),)), PAUSED, "pending", None),
    ("a run is active", CALM, Pending((arrival(changes=5, first=60),), None, 1), OPEN, "collecting", None),
    ("not yet confirmed", Trigger(while_running="queue"), Pending((arrival(),), None, 2, 1), OPEN, "collecting", None),
    ("no room", Trigger(while_running="parallel"), Pending((arrival(),), None, MAX_OPEN), OPEN, "held", None),
    ("overdue, and paused", Trigger(max_wait=seconds(1)), Pending((arrival(first=60),)), PAUSED, "held", None),
    ("one branch of all", Trigger(all=BOTH.any[0].all), Pending((CRM,)), OPEN, "pending", None),  # type: ignore[index]
    (
        "another source's changes",
        Trigger(any=(Branch(source="crm_db", changes=1),)),
        Pending((WEB,)),
        OPEN,
        "pending",
        None,
    ),
]


@pytest.mark.parametrize(
    ("trigger", "pending", "gate", "state", "left"), [row[1:] for row in WAITS], ids=[row[0] for row in WAITS]
)
def test_waits_in_this_state_until(
    trigger: Trigger, pending: Pending, gate: Gate, state: str, left: float | None
) -> None:
    """The word that pages and commands show, and when to look again."""
    decision = decide(trigger, pending, gate, NOW)
    assert isinstance(decision, Wait)
    assert decision.state == state
    assert decision.until == (None if left is None else NOW + seconds(left))


def lines(decision: Decision) -> list[tuple[str, str, bool]]:
    return [(line.name, line.text, line.met) for line in decision.because]


def test_because_reads_like_the_preview_of_a_table() -> None:
    """All conditions with their present values, thousands separated, in words."""
    trigger = Trigger(changes=1000, max_wait=seconds(600), settle=seconds(20), cooldown=seconds(120))
    decision = decide(trigger, Pending((arrival(changes=612, first=575, last=31),), NOW - seconds(390)), OPEN, NOW)
    assert lines(decision) == [
        ("changes", "changes 612 of 1,000", False),
        ("max_wait", "max_wait 9m 35s of 10m", False),
        ("settle", "quiet for 31s of 20s", True),
        ("cooldown", "last batch 6m 30s ago, cooldown 2m", True),
        ("running", "no open batch", True),
        ("gate", "DAG known, not paused", True),
    ]


def test_because_shows_a_tree_with_its_branches_indented() -> None:
    """Each group says how many of its branches are met."""
    assert lines(decide(BOTH, Pending((CRM,)), OPEN, NOW))[:5] == [
        ("any", "any of 2 branches: 0 met", False),
        ("all", "  all of 2 branches: 1 met", False),
        ("changes", "    crm_db changes 5,000 of 5,000", True),
        ("bytes", "    web_events bytes 0 B of 1.0 GB", False),
        ("changes", "  scoring changes 0 of 1", False),
    ]


@pytest.mark.parametrize(
    ("trigger", "pending", "text", "met"),
    [
        (Trigger(while_running="queue"), Pending((), None, 2, 1), "2 open batches, 1 not confirmed", False),
        (Trigger(), Pending((), None, 1, 0), "1 open batch", False),
        (Trigger(while_running="parallel"), Pending((), None, 16, 0), "16 open batches, 16 are the most", False),
        (Trigger(while_running="parallel"), Pending((), None, 2, 1), "2 open batches", True),
    ],
)
def test_because_says_what_runs(trigger: Trigger, pending: Pending, text: str, met: bool) -> None:
    """The line on open batches names the number that stands in the way."""
    assert ("running", text, met) in lines(decide(trigger, pending, OPEN, NOW))
