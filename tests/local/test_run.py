"""`make run` shows changes that become runs, stops cleanly, and says what is in its way."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from local.processes import free_port

ROOT = Path(__file__).parents[2]


def command(state: Path, ports: Sequence[int], *arguments: str) -> list[str]:
    named = zip(("--airflow-port", "--postgres-port", "--ops-port"), ports, strict=True)
    options = [part for name, port in named for part in (name, str(port))]
    return [sys.executable, "-m", "local.run", "--state", str(state), *options, *arguments]


def is_free(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0


def test_ports_in_use_are_named_with_the_fix(tmp_path: Path) -> None:
    """Every port that is taken is told at once, with what to type; nothing is started; exit code 3."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        taken = [one.getsockname()[1], other.getsockname()[1]]
        ports = (taken[0], free_port(), taken[1])
        done = subprocess.run(command(tmp_path, ports), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert f"Port {taken[0]}, for AIRFLOW, cannot be used: Address already in use." in done.stderr
    assert f"make run AIRFLOW_PORT={taken[0] + 1}" in done.stderr
    assert f"Port {taken[1]}, for OPS" in done.stderr
    assert "POSTGRES" not in done.stderr
    assert done.stdout == ""


@pytest.mark.acceptance
@pytest.mark.timeout(600)
def test_changes_become_runs_and_nothing_is_left(tmp_path: Path) -> None:
    """With `--exit-after` the story ends with runs that succeeded, exit code 0 and closed ports; a second start goes on."""
    ports = [free_port(), free_port(), free_port()]
    limits = ("--exit-after", "2", "--time-limit", "240")
    first = subprocess.run(command(tmp_path, ports, *limits), cwd=ROOT, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stdout + first.stderr
    assert re.search(r"^\d\d:\d\d  orders +\d+ of 20 changes waiting$", first.stdout, re.M)
    fired = r"^\d\d:\d\d  orders +(\d+) changes -> run (watcher__\d{8}T\d{6}Z__b\d{6}) \(because changes \1 >= 20\)$"
    assert re.search(fired, first.stdout, re.M), first.stdout
    assert re.search(r"^\d\d:\d\d  \w+ +b\d{6} succeeded in \d+ s$", first.stdout, re.M)
    assert all(is_free(port) for port in ports)

    numbers = [int(number) for number in re.findall(r"__b(\d{6})", first.stdout)]
    again = subprocess.run(command(tmp_path, ports, *limits), cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stdout + again.stderr
    later = [int(number) for number in re.findall(r"changes -> run \S+__b(\d{6})", again.stdout)]
    assert later
    assert min(later) > max(numbers)
    assert all(is_free(port) for port in ports)


def family(state: Path) -> dict[int, int]:
    """The processes that were given a path below `state`, each with a descriptor that becomes readable when it ends."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(state).encode() in entry.read_bytes():
                pid = int(entry.parent.name)
                found[pid] = os.pidfd_open(pid)
    return found


def wait_for_ends(descriptors: Iterable[int], seconds: float) -> None:
    for descriptor in descriptors:
        assert select.select([descriptor], [], [], seconds)[0], "a process is left running"
        os.close(descriptor)


@pytest.mark.acceptance
@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stop_in_the_middle_leaves_nothing_running(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C, or kill -9, while Airflow starts: PostgreSQL and all of Airflow end too, and the ports are free."""
    ports = [free_port(), free_port(), free_port()]
    with subprocess.Popen(command(tmp_path, ports), cwd=ROOT, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert next(line for line in program.stdout if "is starting" in line)
        running = family(tmp_path)
        assert len(running) > 2
        program.send_signal(number)
        rest = program.stdout.read()
    wait_for_ends(running.values(), 60)
    assert family(tmp_path) == {}
    assert all(is_free(port) for port in ports)
    if number == signal.SIGINT:
        assert "Nothing is left running" in rest
        assert program.returncode == 0
