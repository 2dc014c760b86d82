"""One measured process in an Airflow environment: `tests/bench/child.py`, alone in a folder, nothing inherited but the path."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.child import MARK

ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).with_name("child.py")
LONGEST = 180  # seconds


@dataclass(frozen=True, slots=True)
class Place:
    """An interpreter with Airflow, and the folder that holds its home and its DAG files."""

    python: Path
    folder: Path

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
        """What the child measured; `log` is all else it printed. Raises RuntimeError with its log when it fails."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        home = {
            "HOME": str(self.folder),
            "AIRFLOW_HOME": str(self.folder / "home"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "DO_NOT_TRACK": "1",
            "PYTHONPATH": str(self.folder),
        }
        done = subprocess.run(
            [self.python, "-P", CHILD, *arguments],
            cwd=self.folder,
            env=kept | home | dict(environment or {}),
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )
        lines = done.stdout.splitlines()
        told = next((line for line in lines if line.startswith(MARK)), None)
        log = "\n".join([*(line for line in lines if not line.startswith(MARK)), done.stderr])
        if told is None:
            raise RuntimeError(f"{arguments[0]} failed in {self.python}:\n{log}")
        found: dict[str, Any] = json.loads(told.removeprefix(MARK))
        return {**found, "log": log}


@dataclass(frozen=True, slots=True)
class Case:
    """A line of a report: what is run, how often at `most`."""

    name: str
    place: Place
    arguments: Sequence[str]
    environment: Mapping[str, str]
    most: int = 99


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds and MiB of each round."""

    name: str
    total: tuple[float, ...]
    parse: tuple[float, ...]
    mib: float

    def line(self) -> str:
        """Median and extremes."""
        parse = f"{statistics.median(self.parse):6.2f}" if self.parse else "     -"
        low, middle, high = min(self.total), statistics.median(self.total), max(self.total)
        return (
            f"{self.name:<58} file {parse} s  process {middle:6.2f} s ({low:.2f}..{high:.2f})  peak {self.mib:5.0f} MiB"
        )


def measure(cases: Sequence[Case], rounds: int) -> list[Measured]:
    """All cases once, then all again: a slow moment of the machine falls on all of them. A first run compiles, unmeasured."""
    for case in cases:
        if case.most >= rounds:
            case.place.run(*case.arguments, environment=case.environment)
    found: dict[str, list[dict[str, Any]]] = {case.name: [] for case in cases}
    for number in range(rounds):
        for case in cases:
            if number < case.most:
                found[case.name].append(case.place.run(*case.arguments, environment=case.environment))
    return [_measured(name, each) for name, each in found.items()]


def _measured(name: str, found: Sequence[Mapping[str, Any]]) -> Measured:
    parse = tuple(one["parse"] for one in found if "parse" in one)
    return Measured(name, tuple(one["total"] for one in found), parse, statistics.median(one["mib"] for one in found))
