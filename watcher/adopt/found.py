"""What is found in a DAG file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from watcher.adopt.values import UNKNOWN

Kind = Literal["file", "sql", "http", "s3", "external"]
Mode = Literal["poke", "reschedule", "deferrable", "unknown"]


@dataclass(frozen=True, slots=True)
class DagRef:
    """A DAG of a file; `dag_id` None where it is not a constant. `defaults` are its default_args."""

    dag_id: str | None
    defaults: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AirflowSensor:
    """One task that waits. A value of `arguments` is UNKNOWN where only running the file would tell.

    `after` names tasks that stand before it and do not wait themselves.
    """

    kind: Kind
    name: str
    dag_id: str
    task_id: str
    arguments: Mapping[str, Any]
    file: Path
    line: int
    after: tuple[str, ...] = ()

    @property
    def mode(self) -> Mode:
        """How it waits: on a worker (poke), now and then on a worker (reschedule), or in the triggerer (deferrable)."""
        deferrable = self.arguments.get("deferrable", self.name.endswith("Async"))
        mode = self.arguments.get("mode", "poke")
        if deferrable is True:
            return "deferrable"
        if deferrable is not False or mode not in ("poke", "reschedule"):
            return "unknown"
        return "reschedule" if mode == "reschedule" else "poke"

    def get(self, name: str, default: Any = None) -> Any:
        """An argument, from the call or the DAG's default_args; UNKNOWN where it is not a constant."""
        return self.arguments.get(name, default)

    def knows(self, name: str) -> bool:
        """Whether an argument is given as a constant."""
        return self.arguments.get(name, UNKNOWN) is not UNKNOWN


@dataclass(frozen=True, slots=True)
class Untranslated:
    """What has no equivalent, where it stands and why."""

    file: Path
    line: int
    what: str
    why: str
