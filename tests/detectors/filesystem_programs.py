"""Programs of their own for what a test cannot do inside itself: the whole process stopped, no descriptors or watches left."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, os.fspath(Path(__file__).resolve().parents[2]))

from tests.detectors.conformance import Keeper
from tests.detectors.filesystem_folder import make_detector, write

CLONE_NEWUSER = 0x10000000


def make_while_the_reader_is_stopped(root: Path, files: int) -> None:
    reader = os.getpid()
    if os.fork() == 0:
        os.kill(reader, signal.SIGSTOP)
        for n in range(files):
            os.close(os.open(root / f"f{n}", os.O_CREAT | os.O_WRONLY))
        os.kill(reader, signal.SIGCONT)
        os._exit(0)
    os.wait()


async def overflow(root: Path, files: int) -> dict[str, Any]:
    detector, keeper, hints = make_detector(root), Keeper(), 0
    await keeper.look(detector)
    following = detector.hints()
    await anext(following)
    make_while_the_reader_is_stopped(root, files)
    while keeper.changes < files:
        await anext(following)
        hints += 1
        await keeper.drain(detector, limit=7_000)
    await following.aclose()
    await detector.close()
    return {"changes": keeper.changes, "hints": hints}


def few_watches(folders: int) -> bool:
    """A name space of our own in which the kernel gives fewer watches than folders; False where we may not make one."""
    if ctypes.CDLL(None).unshare(CLONE_NEWUSER) != 0:
        return False
    Path("/proc/sys/user/max_inotify_watches").write_text(str(folders // 2))
    return True


def take_all_descriptors() -> list[int]:
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    taken = []
    try:
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return taken


async def exhausted(root: Path, folders: int) -> dict[str, Any]:
    """No watches left for so many folders; with 0, or where watches cannot be rationed, no descriptors left."""
    for n in range(folders):
        (root / f"d{n}").mkdir()
    rationed = folders > 0 and few_watches(folders)
    detector, keeper = make_detector(root), Keeper()
    await keeper.look(detector)
    following = detector.hints()
    taken = [] if rationed else take_all_descriptors()
    async with asyncio.timeout(10):
        await anext(following)
    waiting = asyncio.ensure_future(anext(following))
    hints, state = 1 + len((await asyncio.wait([waiting], timeout=0.3))[0]), detector.describe()
    waiting.cancel()
    await asyncio.wait([waiting])
    for one in taken:
        os.close(one)
    write(root / "a.csv")
    answer = await keeper.look(detector)
    await following.aclose()
    await detector.close()
    return {"hints": hints, "state": state, "changes": answer.changes, "look_again": answer.look_again}


if __name__ == "__main__":
    work = {"overflow": overflow, "exhausted": exhausted}[sys.argv[1]]
    sys.stdout.write(json.dumps(asyncio.run(work(Path(sys.argv[2]), int(sys.argv[3])))))
