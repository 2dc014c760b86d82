"""The only loop of the daemon: wait, clear the wake flag, then step, so that a wake during a step is never lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from watcher.errors import AirflowError, StoreError

LONGEST_PAUSE = 60.0
"""Seconds after which a loop that has nothing to wait for steps all the same: every hint may be lost."""

FIRST_BACKOFF, LONGEST_BACKOFF = 0.5, 30.0

Step = Callable[[datetime], Awaitable[float | None]]
"""One pass of a service at `now`; answers the seconds until the next one, None for "when woken"."""

Trouble = Callable[[StoreError | AirflowError | None], None]
"""Told of every step that the store or Airflow refused, and with None of the next one that worked."""


class Clock:
    """Wall-clock time that only moves forward with the monotonic clock, so that a jump of the wall clock starts no storm.

    It is read again from the wall when the process starts, never in between.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.monotonic = monotonic
        self._wall = datetime.now(UTC)
        self._start = monotonic()

    def now(self) -> datetime:
        """UTC, with time zone."""
        return self._wall + timedelta(seconds=self.monotonic() - self._start)


@dataclass(slots=True)
class Loop:
    """What a loop is steered by: `wake` shortens the pause, `stop` ends it after the step in hand."""

    name: str
    step: Step
    trouble: Trouble
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    last_step: float = 0.0
    step_limit: float = 0.0
    """Seconds that one step may take by right; a loop inside of it is not stalled."""


async def wait_first(*events: asyncio.Event, timeout: float | None) -> None:  # noqa: ASYNC109 - asyncio.wait is the timeout
    """Returns as soon as one of the events is set, or after `timeout` seconds."""
    if any(event.is_set() for event in events):
        return
    tasks = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def run_loop(loop: Loop, clock: Clock) -> None:
    """Steps until `stop`. A step refused by the store or by Airflow is repeated after a growing pause.

    Every other exception is a bug of ours and leaves, which ends the daemon.
    """
    pause, refused = 0.0, 0
    while not loop.stop.is_set():
        # a refused step keeps its pause: a wake would only hammer on what is away
        await _pause(loop, clock, pause, woken=not refused)
        loop.wake.clear()
        if loop.stop.is_set():
            return
        loop.last_step = clock.monotonic()
        try:
            wanted = await loop.step(clock.now())
        except (StoreError, AirflowError) as error:
            refused += 1
            loop.trouble(error)
            pause = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** min(refused, 8))
            continue
        if refused:
            loop.trouble(None)
        refused = 0
        pause = LONGEST_PAUSE if wanted is None else max(0.0, wanted)


async def _pause(loop: Loop, clock: Clock, pause: float, *, woken: bool) -> None:
    """Waits for the stop, for a wake where one counts, or for the pause to end; says meanwhile that the loop is alive."""
    until = clock.monotonic() + pause
    events = (loop.stop, loop.wake) if woken else (loop.stop,)
    while not any(event.is_set() for event in events) and (left := until - clock.monotonic()) > 0:
        loop.last_step = clock.monotonic()
        await wait_first(*events, timeout=min(left, LONGEST_PAUSE))
