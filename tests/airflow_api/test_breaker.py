"""The breaker by hand-moved clock: when it opens, who may look, and that one alone closes it."""

from __future__ import annotations

from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.airflow_api.conftest import Clock
from watcher.airflow_api.answers import Effect
from watcher.airflow_api.breaker import Breaker


def settle(breaker: Breaker, effect: Effect, code: str = "airflow-unreachable") -> None:
    leave = breaker.admit()
    assert leave is not None
    with leave:
        leave.report(effect, code, "why")


def opened(clock: Clock) -> Breaker:
    breaker = Breaker(clock=clock, now=clock.now)
    settle(breaker, "open", "airflow-token")
    return breaker


def half_open(clock: Clock) -> Breaker:
    breaker = opened(clock)
    clock.seconds += 15
    assert breaker.claim_look()
    breaker.half_open()
    return breaker


def test_five_failures_in_a_row_open_it(clock: Clock) -> None:
    """Four failures, a success and four more keep it closed; the fifth in a row opens it."""
    breaker = Breaker(clock=clock, now=clock.now)
    for effect in ("count",) * 4 + ("success",) + ("count", "neutral") * 4:
        settle(breaker, effect)
    assert (breaker.state, breaker.reason, breaker.since) == ("closed", None, None)
    settle(breaker, "count")
    assert (breaker.state, breaker.reason, breaker.since) == ("open", "airflow-unreachable", clock.now())
    assert breaker.admit() is None


def test_token_trouble_opens_it_at_once(clock: Clock) -> None:
    """One refused token is enough, and the reason says so."""
    breaker = opened(clock)
    assert (breaker.state, breaker.reason, breaker.detail) == ("open", "airflow-token", "why")


def test_one_look_per_pause(clock: Clock) -> None:
    """While open one caller per 15 s may look at Airflow's health."""
    breaker = opened(clock)
    assert not breaker.claim_look()
    clock.seconds += 15
    assert [breaker.claim_look() for _ in range(3)] == [True, False, False]
    clock.seconds += 15
    assert breaker.claim_look()


def test_one_of_twenty_passes_when_half_open(clock: Clock) -> None:
    """After a good look exactly one request goes; its success closes the breaker for all."""
    breaker = half_open(clock)
    leaves = [leave for _ in range(20) if (leave := breaker.admit()) is not None]
    assert len(leaves) == 1
    with leaves[0]:
        leaves[0].report("success")
    assert (breaker.state, breaker.reason, breaker.since) == ("closed", None, None)
    assert breaker.admit() is not None


def test_failed_probe_opens_it_again(clock: Clock) -> None:
    """A failed probe opens it for another pause; it stays open since the first time."""
    breaker = half_open(clock)
    since = breaker.since
    settle(breaker, "count")
    assert (breaker.state, breaker.reason, breaker.since) == ("open", "airflow-unreachable", since)
    assert not breaker.claim_look()


def test_cancelled_probe_frees_its_place(clock: Clock) -> None:
    """A probe that ends without a report is no failure: the next one may go."""
    breaker = half_open(clock)
    leave = breaker.admit()
    assert leave is not None
    with leave:
        pass
    assert breaker.state == "half-open"
    assert breaker.admit() is not None


def test_old_answers_do_not_move_a_new_state(clock: Clock) -> None:
    """A request sent before the breaker opened neither closes nor opens it by its late answer."""
    breaker = Breaker(clock=clock, now=clock.now)
    late = breaker.admit()
    settle(breaker, "open", "airflow-token")
    assert late is not None
    with late:
        late.report("success")
    assert breaker.state == "open"


def test_bad_look_keeps_it_open_for_its_own_reason(clock: Clock) -> None:
    """A bad look replaces the reason; on a closed breaker a look changes nothing."""
    breaker = opened(clock)
    breaker.stay_open("airflow-unreachable", "refused")
    assert (breaker.state, breaker.reason, breaker.detail) == ("open", "airflow-unreachable", "refused")
    closed = Breaker(clock=clock, now=clock.now)
    closed.stay_open("airflow-unreachable")
    closed.half_open()
    assert (closed.state, closed.reason) == ("closed", None)


@settings(deadline=None)
@given(st.lists(st.sampled_from([*get_args(Effect), "look", "cancel"])))
def test_never_two_probes_and_always_a_way_back(steps: list[str]) -> None:
    """Whatever happens, at most one probe is out, and a pause, a good look and a success close it."""
    clock = Clock()
    breaker = Breaker(clock=clock, now=clock.now)
    for step in steps:
        clock.seconds += 15
        if step == "look" and breaker.claim_look():
            breaker.half_open()
        elif (leave := breaker.admit()) is not None:
            if breaker.state == "half-open":
                assert breaker.admit() is None
            with leave:
                if step not in ("look", "cancel"):
                    leave.report(step)  # type: ignore[arg-type]
        assert (breaker.reason is None) == (breaker.since is None) == (breaker.state == "closed")
    clock.seconds += 15
    if breaker.claim_look():
        breaker.half_open()
    settle(breaker, "success")
    assert breaker.state == "closed"
