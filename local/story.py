"""Turns the daemon's log, one JSON object a line, into the lines a person wants to see; pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

_QUIET = {
    "detection_recorded",
    "batch_confirmed",
    "daemon_started",
    "pipelines_loaded",
    "daemon_stopping",
    "daemon_stopped",
}


@dataclass(slots=True)
class Story:
    """What has happened so far: the runs that ended, by their state."""

    ended: dict[str, int] = field(default_factory=dict)
    _last: dict[str, str] = field(default_factory=dict)

    @property
    def runs(self) -> int:
        """How many runs have ended."""
        return sum(self.ended.values())

    def tell(self, line: str) -> str | None:
        """The line for people, without the time; None where the log line is not worth one. Text that is no JSON stays."""
        try:
            fact = json.loads(line)
        except ValueError:
            return line.rstrip() or None
        if not isinstance(fact, dict):
            return line.rstrip()
        event, pipeline = str(fact.get("event")), str(fact.get("pipeline", "watcher"))
        if event.startswith("run_"):
            state = event.removeprefix("run_")
            self.ended[state] = self.ended.get(state, 0) + 1
        if event in _QUIET:
            return None
        text = _sentence(event, fact)
        if self._last.get(pipeline) == text:
            return None
        self._last[pipeline] = text
        return f"{pipeline:<14} {text}"


def _sentence(event: str, fact: dict[str, Any]) -> str:
    changes = f"{fact.get('changes', 0):,}"
    if event == "changes_waiting" and fact.get("changes", 0) < (fact.get("limit") or 0):
        return f"{changes} of {fact['limit']:,} changes waiting"
    if event == "batch_fired":
        return f"{changes} changes -> run {fact.get('dag_run_id')} (because {fact.get('reason')})"
    return str(fact.get("message", event))
