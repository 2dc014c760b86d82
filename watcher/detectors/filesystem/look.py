"""One look at a folder: scan it, hold it against the inventory, answer what changed; works in a thread and keeps nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from watcher.detection import Cursor, Detection
from watcher.detectors.filesystem.compare import Comparison, Times, compare
from watcher.detectors.filesystem.counting import Counting
from watcher.detectors.filesystem.entry import encode
from watcher.detectors.filesystem.mounts import file_system_of
from watcher.detectors.filesystem.scan import Area, Scan, scan
from watcher.detectors.filesystem.tally import Tally
from watcher.detectors.filesystem.task import Looked, Memory, Task, Tools
from watcher.errors import SourceError

FEW: Final = 20
"""So many files may go at once, on whatever device, before we ask whether the volume is mounted."""

AGAIN: Final = 1.0
"""Seconds until the next look at a file that was neither surely there nor surely gone."""

SAMPLE: Final = 5


def look(task: Task, tools: Tools) -> Looked:
    """Blocks. Raises SourceError, and StoppedError once `tools.stop` is set."""
    options, file_system = task.options, file_system_of(task.options.root)
    area = Area(options.root, options.patterns, options.marker, file_system.lasting_inodes)
    begun = tools.monotonic()
    found = scan(area, tools.stop, known=task.cursor is not None)
    times = Times(begun, tools.monotonic(), options.settle, options.confirm)
    known = task.known()
    compared = compare(found, known, task.memory.settling, times)
    _check_mounted(task, found, known, len(compared.gone))
    counting = Counting(task, tools, known)
    if task.cursor is None and options.from_now:
        counting.take_as_known(compared, found.waiting)
    else:
        counting.count(compared)
    tools.contents.forget()
    detection = _detection(found, compared, counting, tools.now() - timedelta(seconds=times.ended))
    return Looked(detection, _memory(detection, found, compared, counting), file_system)


def _memory(detection: Detection, found: Scan, compared: Comparison, counting: Counting) -> Memory:
    known = counting.tally.known_after(counting.known)
    return Memory(detection.cursor, known, compared.settling, frozenset(counting.doubtful), tuple(found.folders))


def _check_mounted(task: Task, found: Scan, known: Mapping[str, str], gone: int) -> None:
    """A volume that is not mounted shows the empty folder below it: another device, and the files gone.

    Another device alone proves nothing, many systems number them anew at each start.
    """
    before = task.cursor.get("root") if task.cursor is not None else None
    if not isinstance(before, list) or before[:1] == [found.root[0]]:
        return
    if (gone > FEW and 2 * gone > len(known)) or (known and not found.files):
        root = encode(task.options.root)
        message = f"{gone} of {len(known)} files of {root} are gone and it lies on another device now: is it mounted?"
        raise SourceError(message, code="source-vanished")


def _detection(found: Scan, compared: Comparison, counting: Counting, zero: datetime) -> Detection:
    """`zero` is the time of day at which the monotonic clock stood at 0.

    The times are ours: when a file was first seen as it then counted. A file's own time may be years old (`cp -p`) or wrong.
    """
    tally = counting.tally
    first = None if tally.earliest is None else zero + timedelta(seconds=tally.earliest)
    return Detection(
        cursor=_cursor(counting.task.cursor, found, tally),
        changes=len(tally.files),
        operations=dict(tally.operations),
        bytes=tally.bytes,
        files=tuple(tally.files),
        first_change_at=first,
        last_change_at=None if tally.latest is None else zero + timedelta(seconds=tally.latest),
        sample=tuple(file.path for file in tally.files[:SAMPLE]),
        note=_note(counting.task, found, compared),
        filtered=tally.filtered,
        inventory=tally.inventory_change(),
        more=counting.more,
        look_again=_look_again(compared, counting),
    )


def _cursor(before: Cursor | None, found: Scan, tally: Tally) -> Cursor:
    """Equal to the one before unless the inventory or the root's identity changed.

    The digest stands for all states of the inventory so far: two replicas that went different ways from one cursor never
    have one cursor again, as a mere count of looks would give them.
    """
    number, digest = (before or {}).get("scan"), (before or {}).get("digest")
    number = number if isinstance(number, int) else 0
    digest = digest if isinstance(digest, str) else ""
    if tally.put or tally.drop:
        number, digest = number + 1, tally.digest(digest)
    return {"root": list(found.root), "scan": number, "digest": digest}


def _look_again(compared: Comparison, counting: Counting) -> float | None:
    waits = [] if compared.wait is None else [compared.wait]
    if counting.doubtful or counting.moving:
        waits.append(AGAIN)
    return min(waits, default=None)


def _note(task: Task, found: Scan, compared: Comparison) -> str:
    parts = []
    if compared.resting:
        parts.append(f"{compared.resting} files changed less than {task.options.settle:g} s ago")
    if compared.unmarked:
        parts.append(f"{compared.unmarked} files wait for {task.options.marker}")
    if found.too_deep:
        parts.append(f"{found.too_deep} folders lie too deep for the system")
    return "; ".join(parts)
