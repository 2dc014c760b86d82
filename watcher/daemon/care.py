"""What the daemon does for itself: one look at Airflow's health per pace, and from time to time the sums of the ledger."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from watcher import events
from watcher.airflow_api import AirflowApi
from watcher.errors import AirflowError
from watcher.loop import Clock
from watcher.store import Store, ledger
from watcher.web import Health

PROBE_PACE, LEDGER_PACE = 15.0, 300.0


class Care:
    """The service beside the flow. `back` is called when Airflow answers again, so that what was held may leave."""

    def __init__(self, store: Store, api: AirflowApi, health: Health, back: Callable[[], None]) -> None:
        self._store, self._api, self._health, self._back = store, api, health, back
        self._clock = Clock()
        self._ledger_due = 0.0
        self._lost_since: float | None = None

    async def step(self, now: datetime) -> float:
        """One look at Airflow, the sums when they are due."""
        if self._clock.monotonic() >= self._ledger_due:
            self._ledger_due = self._clock.monotonic() + LEDGER_PACE
            events.sums_checked(await ledger.unaccounted(self._store))
        await self._look_at_airflow()
        events.stepped("care", now)
        return PROBE_PACE

    async def _look_at_airflow(self) -> None:
        try:
            await self._api.probe()
        except AirflowError as error:
            if self._lost_since is None:
                self._lost_since = self._clock.monotonic()
                events.airflow_lost(error.code, f"{error}. {error.hint}")
            self._health.degraded["airflow"] = f"{error.code}: {error}"
            return
        self._health.degraded.pop("airflow", None)
        events.airflow_answered()
        if self._lost_since is not None:
            events.airflow_back(self._clock.monotonic() - self._lost_since)
            self._lost_since = None
            self._back()
