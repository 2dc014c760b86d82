"""How long Airflow sensors held slots in the last 7 and 30 days, from the durations of their task instances."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from watcher.adopt import Adoption, AirflowSensor, Mode
from watcher.cli.reach import airflow_options_of
from watcher.errors import AirflowError
from watcher.settings import Settings

if TYPE_CHECKING:
    from watcher.airflow_api import AirflowApi, TaskTimes

WINDOWS = (7, 30)
SECONDS, AT_ONCE = 120.0, 4
_TOLD: dict[Mode, str] = {
    "poke": "worker slots held while waiting",
    "deferrable": "triggerer held while waiting, no worker",
    "reschedule": "worker slots held by the last look of each wait; the looks before it are not recorded",
    "unknown": "tasks whose mode is not a constant",
}


@dataclass(slots=True)
class Hours:
    """What the sensors of one mode took in hours, by the days looked back. `whole` False: it was at least so much."""

    mode: Mode
    sensors: int = 0
    hours: dict[int, float] = field(default_factory=lambda: dict.fromkeys(WINDOWS, 0.0))
    whole: bool = True

    @property
    def sentence(self) -> str:
        """For people."""
        least = "" if self.whole else "at least "
        told = ", ".join(f"{least}{hours:,.1f} h in {days} days" for days, hours in self.hours.items())
        freed = " (freed)" if self.mode == "poke" else ""
        return f"{self.mode}: {self.sensors} sensors, {told}{freed}: {_TOLD[self.mode]}"

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        hours = {f"{days}d": round(hours, 3) for days, hours in self.hours.items()}
        return {"mode": self.mode, "sensors": self.sensors, "hours": hours, "whole": self.whole}


def hours_freed(settings: Settings, adoption: Adoption) -> tuple[Hours, ...]:
    """One entry for each mode that there is, worker slots first. Raises AirflowError and ConfigError."""
    sensors = [sensor for each in adoption.pipelines for sensor, _ in each.sources]
    return asyncio.run(_ask(settings, sensors, datetime.now(UTC)))


async def _ask(settings: Settings, sensors: Sequence[AirflowSensor], now: datetime) -> tuple[Hours, ...]:
    from watcher.airflow_api import open_airflow

    turns = asyncio.Semaphore(AT_ONCE)
    since = now - timedelta(days=max(WINDOWS))
    async with open_airflow(airflow_options_of(settings, SECONDS)) as api:

        async def one(sensor: AirflowSensor) -> TaskTimes | None:
            async with turns:
                return await _times(api, sensor, since)

        answers = await asyncio.gather(*(one(sensor) for sensor in sensors))
    return _summed(sensors, answers, now)


async def _times(api: AirflowApi, sensor: AirflowSensor, since: datetime) -> TaskTimes | None:
    try:
        return await api.task_times(sensor.dag_id, sensor.task_id, since)
    except AirflowError as error:
        if error.code == "dag-unknown":
            return None
        raise


def _summed(sensors: Sequence[AirflowSensor], answers: Sequence[TaskTimes | None], now: datetime) -> tuple[Hours, ...]:
    found: dict[Mode, Hours] = {}
    for sensor, times in zip(sensors, answers, strict=True):
        if times is None:
            continue
        hours = found.setdefault(sensor.mode, Hours(sensor.mode))
        hours.sensors += 1
        hours.whole &= times.whole
        for days in WINDOWS:
            begun = now - timedelta(days=days)
            hours.hours[days] += sum(time.seconds for time in times.times if time.started_at >= begun) / 3600
    return tuple(found[mode] for mode in _TOLD if mode in found)
