"""The real daemon as a subprocess: its settings, its log lines as facts to wait for, and the ways to end it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Line = dict[str, Any]
WATCHER = Path(sys.executable).with_name("watcher")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a daemon lives: its folder, Airflow's address and login, and the environment it is started with."""

    folder: Path
    airflow_url: str
    password: str
    variables: Mapping[str, str]
    store: str | None = None

    @property
    def settings(self) -> Path:
        return self.folder / "watcher.yaml"

    @property
    def pipelines(self) -> Path:
        return self.folder / "pipelines"

    def write(self) -> None:
        """Settings and an empty pipelines folder."""
        self.pipelines.mkdir(parents=True, exist_ok=True)
        store = self.store or f"sqlite:///{self.folder}/state/watcher.db"
        self.settings.write_text(
            json.dumps(
                {
                    "pipelines": str(self.pipelines),
                    "store": {"url": store},
                    "airflow": {"url": self.airflow_url, "username": "watcher", "password": "${AIRFLOW_PASSWORD}"},
                    "web": {"ops": "127.0.0.1:0"},
                    "log": {"format": "json"},
                }
            )
        )

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, **self.variables, "AIRFLOW_PASSWORD": self.password}


class Daemon:
    """One process of `watcher run`; every line it logs is kept and can be waited for."""

    def __init__(self, place: Place) -> None:
        self.lines: list[Line] = []
        self._more = threading.Condition()
        self.process = subprocess.Popen(
            [str(WATCHER), "run", "-c", str(place.settings)],
            env=place.environment,
            cwd=place.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(
        self, event: str, *, seconds: float = 60, after: int = 0, where: Callable[[Line], bool] = bool
    ) -> Line:
        """The first line of this event that `where` accepts; AssertionError with the log's end when none comes in time."""
        deadline = time.monotonic() + seconds
        with self._more:
            while True:
                for line in self.lines[after:]:
                    if line.get("event") == event and where(line):
                        return line
                left = deadline - time.monotonic()
                if left <= 0 or (self.process.poll() is not None and not self._reader.is_alive()):
                    raise AssertionError(f"no {event} within {seconds} s; the log ends:\n{self.tail()}")
                self._more.wait(min(left, 0.5))

    def all(self, event: str) -> list[Line]:
        """Every line of this event so far."""
        with self._more:
            return [line for line in self.lines if line.get("event") == event]

    def tail(self, count: int = 25) -> str:
        return "\n".join(json.dumps(line) for line in self.lines[-count:])

    def kill(self) -> None:
        """kill -9, at whatever instruction it is."""
        self.process.kill()
        self.process.wait(10)
        self._reader.join(5)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """An ordered stop; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(40)
        finally:
            self._reader.join(5)

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for text in output:
                try:
                    line = json.loads(text)
                except ValueError:
                    line = {"event": "not_json", "message": text.rstrip()}
                with self._more:
                    self.lines.append(line)
                    self._more.notify_all()
