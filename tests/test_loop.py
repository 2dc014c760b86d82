"""The loop: no wake is lost, stop is prompt, refused steps back off, bugs leave."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from watcher.errors import StoreError
from watcher.loop import Clock, Loop, run_loop, wait_first


def quiet(error: object) -> None:
    """A loop that nobody listens to."""


async def test_a_wake_during_a_step_is_kept_for_the_next_one() -> None:
    """What arrives while a step is under way starts another step."""
    steps = 0

    async def step(now: datetime) -> float | None:
        nonlocal steps
        steps += 1
        if steps == 1:
            loop.wake.set()
        else:
            loop.stop.set()
        return None

    loop = Loop("test", step, quiet)
    async with asyncio.timeout(5):
        await run_loop(loop, Clock())
    assert steps == 2


async def test_a_stop_requested_before_the_loop_starts_is_not_lost() -> None:
    """No step is taken after the stop was asked for."""

    async def step(now: datetime) -> float | None:
        raise AssertionError("stepped after the stop")

    loop = Loop("test", step, quiet)
    loop.stop.set()
    async with asyncio.timeout(5):
        await run_loop(loop, Clock())


async def test_a_refused_step_is_repeated_and_told_until_it_works() -> None:
    """A store that refuses twice is told twice, then the recovery is told once."""
    told: list[object] = []
    steps = 0

    async def step(now: datetime) -> float | None:
        nonlocal steps
        steps += 1
        if steps < 3:
            raise StoreError("locked", code="store-busy")
        loop.stop.set()
        return None

    loop = Loop("test", step, lambda error: told.append(error.code if error else None))
    async with asyncio.timeout(20):
        await run_loop(loop, Clock())
    assert told == ["store-busy", "store-busy", None]


async def test_a_bug_leaves_the_loop() -> None:
    """An exception that nobody translated is never swallowed."""

    async def step(now: datetime) -> float | None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await run_loop(Loop("test", step, quiet), Clock())


def test_the_clock_follows_the_monotonic_one_only() -> None:
    """A jump of the wall clock does not reach anybody who asks for now."""
    seconds = [100.0]
    clock = Clock(monotonic=lambda: seconds[0])
    before = clock.now()
    seconds[0] += 90
    assert clock.now() - before == timedelta(seconds=90)
    assert before.tzinfo is UTC


async def test_a_cancellation_is_never_swallowed_however_the_wait_ends() -> None:
    """A task that is cancelled just as it is woken ends; otherwise a crash elsewhere would hang instead of stopping."""
    for turns in range(6):
        wake, stop = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(wait_first(wake, stop, timeout=60))
        await asyncio.sleep(0)
        wake.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        ended_before = task.done()
        task.cancel()
        await asyncio.wait([task], timeout=5)
        assert task.done()
        assert ended_before or task.cancelled(), f"cancelled {turns} turns after the wake, and went on"


async def test_a_long_pause_is_not_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """What asks to be stepped once an hour is not stepped at every sign of life, and shows those signs."""
    monkeypatch.setattr("watcher.loop.LONGEST_PAUSE", 0.01)
    steps, alive = 0, set[float]()

    async def step(now: datetime) -> float | None:
        nonlocal steps
        steps += 1
        return 3600.0

    loop = Loop("test", step, quiet)
    task = asyncio.create_task(run_loop(loop, Clock()))
    async with asyncio.timeout(5):
        while len(alive) < 4:
            alive.add(loop.last_step)
            await asyncio.sleep(0)
    loop.stop.set()
    await task
    assert steps == 1
