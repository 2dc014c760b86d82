"""The timetable of a DAG that the daemon starts: it schedules nothing, and says in Airflow's DAG list what is waited for."""

from __future__ import annotations

from typing import Any

from airflow.timetables.base import Timetable
from airflow.timetables.simple import NullTimetable

_LONGEST_DESCRIPTION = 1000  # characters that Airflow's column holds


class OnChange(NullTimetable):
    """`schedule=None` with words: `summary` for the column, `description` for what shows when the pointer rests on it."""

    def __init__(self, summary: str, description: str) -> None:
        self._summary = summary
        self.description = description[:_LONGEST_DESCRIPTION]

    @property
    def summary(self) -> str:
        """What the Schedule column shows."""
        return self._summary

    def serialize(self) -> dict[str, Any]:
        """Both texts."""
        return {"summary": self._summary, "description": self.description}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Timetable:
        """The same timetable; texts that a later version left out are empty."""
        return cls(str(data.get("summary", "")), str(data.get("description", "")))
