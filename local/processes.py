"""Starts programs that die with us, however we die, and finds out which ports are free."""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_LEASH = Path(__file__).with_name("leash.py")
_alive: set[Process] = set()


class StartError(Exception):
    """A program did not come up. The message is for people and carries the end of its log."""


class PortTakenError(StartError):
    """Another program has the port. The message names the port and the fix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What to start. `log` None leaves the output in `Process.output`; `user` is (uid, gid) to run as when root.

    `stop` is the signal that asks for an orderly end; after `grace` seconds everything below is killed.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    log: Path | None = None
    stop: signal.Signals = signal.SIGTERM
    grace: float = 15.0
    user: tuple[int, int] | None = None


class Process:
    """A program that runs on a leash, in a session of its own, so that Ctrl-C reaches us and not it."""

    def __init__(self, launch: Launch, leash: subprocess.Popen[str]) -> None:
        self.launch = launch
        self._leash = leash

    @property
    def alive(self) -> bool:
        """Whether the program still runs."""
        return self._leash.poll() is None

    @property
    def code(self) -> int | None:
        """The exit code once it has ended; 128 + n when signal n ended it."""
        return self._leash.poll()

    @property
    def output(self) -> IO[str]:
        """The program's output, line by line, when it has no log file."""
        assert self._leash.stdout is not None
        return self._leash.stdout

    def ask_to_stop(self, number: signal.Signals | None = None) -> None:
        """Sends its stop signal, or `number`, and does not wait."""
        if self.alive:
            self._leash.send_signal(number or self.launch.stop)

    def stop(self, number: signal.Signals | None = None) -> int:
        """Asks the program to end (`number`, else its own stop signal) and waits for all it started; the exit code."""
        if self.alive:
            self.ask_to_stop(number)
            try:
                self._leash.wait(2 * self.launch.grace + 5)
            except subprocess.TimeoutExpired:
                os.killpg(self._leash.pid, signal.SIGKILL)
        _alive.discard(self)
        return self._leash.wait()

    def kill(self) -> int:
        """Kills the program and all it started, as kill -9 does: no time to close anything."""
        return self.stop(signal.SIGUSR1)

    def tail(self, lines: int = 40) -> str:
        """The last lines of its log."""
        if self.launch.log is None or not self.launch.log.exists():
            return ""
        return "\n".join(self.launch.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def wait_until(self, ready: Callable[[], bool], seconds: float, every: float = 0.05) -> None:
        """Waits until `ready()`. Raises StartError, with the end of the log, when the program ends or takes longer."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.alive:
                raise StartError(f"{self.launch.name} ended with code {self.code}. Its last lines:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise StartError(
                    f"{self.launch.name} is not ready after {seconds:.0f} s. Its last lines:\n{self.tail()}"
                )
            time.sleep(every)


def start(launch: Launch) -> Process:
    """Starts a program. It ends with us: at exit, by signal, and when we are killed."""
    options = {"parent": os.getpid(), "stop": launch.stop.value, "grace": launch.grace, "user": launch.user}
    command = [sys.executable, "-I", "-S", str(_LEASH), json.dumps(options), *launch.command]
    log = launch.log.open("ab") if launch.log is not None else None
    try:
        leash = subprocess.Popen(
            command,
            env=dict(launch.env),
            cwd=launch.cwd,
            stdin=subprocess.DEVNULL,
            stdout=log if log is not None else subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
    finally:
        if log is not None:
            log.close()
    process = Process(launch, leash)
    _alive.add(process)
    return process


@atexit.register
def _stop_all() -> None:
    for process in tuple(_alive):
        process.stop()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def claim_port(port: int, purpose: str, fix: str) -> int:
    """Answers `port` when it can be listened on. Raises PortTakenError with `fix` when it cannot."""
    try:
        with socket.create_server(("127.0.0.1", port)):
            return port
    except OSError as error:
        raise PortTakenError(
            f"Port {port}, for {purpose}, cannot be used: {os.strerror(error.errno or 0)}. {fix}"
        ) from error
