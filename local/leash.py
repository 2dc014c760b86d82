"""Runs one program so that it, and everything it started, ends with it, with this leash, or with the leash's parent.

Executed as a file, on the standard library alone: `python -I -S leash.py '{"parent": 1, ...}' program argument...`.
The way through a process of its own is needed because a parent killed with -9 can clean up nothing itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_SET_CHILD_SUBREAPER, _PR_CAP_AMBIENT = 1, 8, 36, 47
_CAP_DAC_OVERRIDE, _CAPABILITY_VERSION_3 = 1, 0x20080522
_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


def main() -> int:
    """Runs the program named on the command line; answers its exit code, 128 + n when signal n ended it."""
    options, command = json.loads(sys.argv[1]), sys.argv[2:]
    wake = _listen()
    _prctl(_PR_SET_PDEATHSIG, signal.SIGHUP)
    if os.getppid() != options["parent"]:
        return 1
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    child = os.fork()
    if child == 0:
        _become(command, options["user"])
    status = _wait(child, wake, options)
    _sweep(options["grace"])
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _listen() -> int:
    """A pipe that carries the number of each signal we get, so that none is lost between two waits."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in (*_FORWARDED, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    return reader


def _become(command: list[str], user: list[int] | None) -> None:
    """Turns this forked process into the program; never returns."""
    try:
        if user is not None:
            _drop_root(*user)
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"cannot start {command[0]}: {error.strerror}\n")
    sys.stderr.flush()
    os._exit(127)


def _drop_root(uid: int, gid: int) -> None:
    """Changes the user and keeps one right of root: to enter folders closed to others, such as a clone in /root."""
    _prctl(_PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if sys.platform == "linux":
        right = 1 << _CAP_DAC_OVERRIDE
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        sets = (ctypes.c_uint32 * 6)(right, right, right, 0, 0, 0)
        ctypes.CDLL(None).capset(header, sets)
        _prctl(_PR_CAP_AMBIENT, 2, _CAP_DAC_OVERRIDE)


def _wait(child: int, wake: int, options: dict[str, Any]) -> int:
    """Waits for the program's end, hands signals on; `grace` seconds after the first one it kills everything."""
    deadline = None
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if not select.select([wake], [], [], left)[0]:
            _signal_all(signal.SIGKILL)
            deadline = time.monotonic() + 1.0
            continue
        for number in os.read(wake, 64):
            # A parent's thread may end while the parent lives: that sends HUP too.
            if number == signal.SIGCHLD or (number == signal.SIGHUP and os.getppid() == options["parent"]):
                continue
            _hand_on(child, options["stop"] if number == signal.SIGHUP else number)
            deadline = deadline or time.monotonic() + options["grace"]
        while ended := _reap():
            if ended[0] == child:
                return ended[1]


def _hand_on(child: int, number: int) -> None:
    """Passes a signal to the program; USR1 stands for kill -9 of it and of all it started."""
    if number == signal.SIGUSR1:
        _signal_all(signal.SIGKILL)
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, number)


def _reap() -> tuple[int, int] | None:
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, status) if pid else None


def _sweep(grace: float) -> None:
    """Ends what the program left behind: politely, then for good."""
    deadline, polite = time.monotonic() + grace, True
    _signal_all(signal.SIGTERM)
    while _descendants():
        while _reap():
            pass
        if polite and time.monotonic() > deadline:
            polite = False
        if not polite:
            _signal_all(signal.SIGKILL)
        time.sleep(0.02)


def _signal_all(number: int) -> None:
    for pid in _descendants():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _descendants() -> set[int]:
    """All living processes below this one (Linux; nobody elsewhere), orphans included, for we are their reaper."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = entry.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if fields[0] != "Z":
                parents[int(entry.parent.name)] = int(fields[1])
    found = {os.getpid()}
    while grown := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= grown
    return found - {os.getpid()}


def _prctl(option: int, *arguments: int) -> None:
    """Calls prctl(2) where there is one; what a kernel refuses is done without."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, *(ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]))


if __name__ == "__main__":
    sys.exit(main())
