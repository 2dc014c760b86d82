"""The circuit breaker, one per Airflow: five answers in a row that say nothing about one DAG open it, one closes it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal, Self

from watcher.airflow_api.answers import Effect

State = Literal["closed", "open", "half-open"]

FAILURES = 5
PAUSE = 15.0


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Pass:
    """Leave for one request. Report what came of it; left without a report (cancelled, say) it counts for nothing."""

    def __init__(self, breaker: Breaker, generation: int) -> None:
        self._breaker = breaker
        self._generation = generation
        self._effect: Effect = "neutral"
        self._code = ""
        self._detail = ""

    def report(self, effect: Effect, code: str = "airflow-unreachable", detail: str = "") -> None:
        self._effect, self._code, self._detail = effect, code, detail

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._breaker.settle(self._generation, self._effect, self._code, self._detail)


class Breaker:
    """Closed: all pass. Open: nobody. Half-open, after a good look at Airflow's health: one, whose answer decides.

    `reason` (a code) and `since` (UTC) are set while it is not closed. `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = _utc_now,
        pause: float = PAUSE,
    ) -> None:
        self.state: State = "closed"
        self.reason: str | None = None
        self.detail = ""
        self.since: datetime | None = None
        self._clock = clock
        self._now = now
        self._pause = pause
        self._failures = 0
        # Answers to requests of an earlier state are old news and must not move this one.
        self._generation = 0
        self._probing = False
        self._look_at = 0.0

    def admit(self) -> Pass | None:
        """Leave for one request, or None when none may go now."""
        if self.state == "open" or (self.state == "half-open" and self._probing):
            return None
        self._probing = self.state == "half-open"
        return Pass(self, self._generation)

    def claim_look(self) -> bool:
        """True for one caller per pause while open: it looks at the health and says `half_open` or `stay_open`."""
        if self.state != "open" or self._clock() < self._look_at:
            return False
        self._look_at = self._clock() + self._pause
        return True

    def half_open(self) -> None:
        """The look was good: the next request decides."""
        if self.state == "open":
            self._enter("half-open")

    def stay_open(self, reason: str, detail: str = "") -> None:
        """The look was bad: open for the rest of the pause, now for this reason."""
        if self.state == "open":
            self.reason, self.detail = reason, detail

    def settle(self, generation: int, effect: Effect, code: str, detail: str) -> None:
        """What came of an admitted request; called by its Pass."""
        if generation != self._generation:
            return
        self._probing = False
        if effect == "success":
            self._close()
        elif effect == "open" or (effect == "count" and self._one_more()):
            self._open(code, detail)

    def _one_more(self) -> bool:
        self._failures += 1
        return self._failures >= FAILURES or self.state == "half-open"

    def _close(self) -> None:
        self._failures = 0
        if self.state != "closed":
            self._enter("closed")
            self.reason, self.detail, self.since = None, "", None

    def _open(self, code: str, detail: str) -> None:
        self.since = self.since or self._now()
        self._look_at = self._clock() + self._pause
        self._enter("open")
        self.reason, self.detail = code, detail

    def _enter(self, state: State) -> None:
        self.state = state
        self._generation += 1
        self._probing = False
        self._failures = 0
