"""Open runs to their outcome, read in batches; asks Airflow for nothing while no run is open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Literal

from watcher import events
from watcher.airflow_api import AirflowApi, RunStatus
from watcher.pipeline.run import batch_name
from watcher.store import Store, batches
from watcher.store.batches import Batch

PACE, SLOW_PACE = 2.0, 10.0
YOUNG = 120.0
"""Seconds after which a run that is still open is asked for at the slow pace."""

ENDED: Mapping[str, Literal["succeeded", "failed", "vanished"]] = {
    "success": "succeeded",
    "failed": "failed",
    "vanished": "vanished",
}


class Track:
    """The service that follows runs. `ended` is called with the pipeline of each run that ended."""

    def __init__(self, store: Store, api: AirflowApi, ended: Callable[[str], None]) -> None:
        self._store, self._api, self._ended = store, api, ended

    async def step(self, now: datetime) -> float | None:
        """Reads all open runs once; answers the seconds until the next read, None while nothing is open.

        Raises AirflowError when Airflow does not answer: nothing is concluded from silence.
        """
        open_runs = await batches.open_runs(self._store)
        if not open_runs:
            return None
        states = await self._api.runs([(batch.dag_id, batch.dag_run_id) for batch in open_runs])
        for batch in open_runs:
            status = states.get(batch.dag_run_id)
            if status is not None:
                await self._follow(batch, status, now)
        youngest = min((now - (batch.confirmed_at or now)).total_seconds() for batch in open_runs)
        return PACE if youngest < YOUNG else SLOW_PACE

    async def _follow(self, batch: Batch, status: RunStatus, now: datetime) -> None:
        state = ENDED.get(status.state)
        if state is None:
            if status.state != batch.run_state:
                await batches.mark_running(self._store, batch, status.state, status.start_date, now)
            return
        ended_at = status.end_date or now
        await batches.mark_ended(self._store, batch, state, status.start_date, ended_at, now)
        seconds = (ended_at - status.start_date).total_seconds() if status.start_date else None
        events.run_ended(
            batch.pipeline, batch_name(batch.number), state=state, dag_run_id=batch.dag_run_id, seconds=seconds
        )
        self._ended(batch.pipeline)
