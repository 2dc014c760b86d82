"""A program on a leash, and all it started, ends with its owner, however the owner ends."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.processes import Launch, PortTakenError, StartError, claim_port, free_port, start

# Holds the pipe open, leaves a grandchild in a session of its own that ignores polite signals, says that it is up.
STUBBORN = 'exec 3>"$PIPE"; setsid sh -c "trap \\"\\" TERM INT HUP; echo up >&3; while :; do sleep 1; done" & wait'
OWNER = """
import os, sys, time
from pathlib import Path
from local.processes import Launch, start
start(Launch(name="p", command=["sh", "-c", sys.argv[1]], env=os.environ, cwd=Path.cwd(), log=Path("log"), grace=0.2))
time.sleep(60)
"""


class Pipe:
    """A named pipe that tells whether any process still holds its other end."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def read(self, seconds: float = 20) -> bytes:
        """What was written; nothing once the last writer is gone."""
        assert select.select([self._reader], [], [], seconds)[0], "nobody wrote and nobody ended"
        return os.read(self._reader, 100)

    def close(self) -> None:
        os.close(self._reader)


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Pipe]:
    made = Pipe(tmp_path / "pipe")
    yield made
    made.close()


def launch(tmp_path: Path, *command: str, grace: float = 5, **env: str) -> Launch:
    return Launch(
        name="it", command=command, env={**os.environ, **env}, cwd=tmp_path, log=tmp_path / "log", grace=grace
    )


def test_stop_ends_all_that_the_program_started(tmp_path: Path, pipe: Pipe) -> None:
    """A grandchild in another session that ignores SIGTERM is gone when `stop` returns."""
    process = start(launch(tmp_path, "sh", "-c", STUBBORN, grace=0.2, PIPE=str(pipe.path)))
    assert pipe.read() == b"up\n"
    process.stop()
    assert pipe.read() == b""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_all_ends_when_the_owner_is_killed(tmp_path: Path, pipe: Pipe, number: signal.Signals) -> None:
    """An owner killed with -9 cannot clean up; nothing is left running all the same."""
    environment = {**os.environ, "PIPE": str(pipe.path), "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, "-c", OWNER, STUBBORN], cwd=tmp_path, env=environment) as owner:
        assert pipe.read() == b"up\n"
        owner.send_signal(number)
    assert pipe.read() == b""


def test_the_exit_code_and_the_log_are_kept(tmp_path: Path) -> None:
    """A program that ends before it is ready is an error that shows the end of its log."""
    process = start(launch(tmp_path, "sh", "-c", "echo the reason; exit 7"))
    with pytest.raises(StartError, match=r"ended with code 7(.|\n)*the reason"):
        process.wait_until(lambda: False, seconds=20)
    assert process.code == 7


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The log says which program could not be started."""
    process = start(launch(tmp_path, "no-such-program"))
    with pytest.raises(StartError, match="cannot start no-such-program"):
        process.wait_until(lambda: False, seconds=20)


def test_kill_gives_no_time_to_close(tmp_path: Path, pipe: Pipe) -> None:
    """`kill` is kill -9 for the whole family: what a program does on SIGTERM is not done."""
    program = 'exec 3>"$PIPE"; trap "echo closing >&3" TERM; echo up >&3; while :; do sleep 0.1; done'
    process = start(launch(tmp_path, "sh", "-c", program, PIPE=str(pipe.path)))
    assert pipe.read() == b"up\n"
    assert process.kill() == 128 + signal.SIGKILL
    assert pipe.read() == b""


def test_a_taken_port_is_named_with_the_fix() -> None:
    """The message says which port, for what, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"Port {port}, for Airflow, .* Take another."):
            claim_port(port, "Airflow", "Take another.")
    assert claim_port(free_port(), "Airflow", "Take another.") > 0
