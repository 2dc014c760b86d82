"""What a filesystem source asks for, in the shapes that the look works with."""

from __future__ import annotations

import os
from dataclasses import dataclass

from watcher.detection import Operation
from watcher.detectors.filesystem.patterns import Patterns
from watcher.pipeline.model import FilesystemSource
from watcher.pipeline.watches import FilesystemWatch


@dataclass(frozen=True, slots=True)
class Options:
    """`root` is absolute, as configured: links above it are followed, links in it never. Times are seconds."""

    root: str
    patterns: Patterns
    settle: float
    confirm: int
    marker: str | None
    content: bool
    operations: frozenset[Operation]
    from_now: bool
    wants_events: bool
    interval: float
    rescan: float


def options_of(source: FilesystemSource) -> Options:
    """From the loaded pipeline file; nothing on the disk is looked at."""
    watch = source.watch or FilesystemWatch()
    return Options(
        root=os.path.abspath(source.path),  # noqa: PTH100 - a path is text here, any byte of it survives
        patterns=Patterns(source.pattern, source.ignore),
        settle=watch.settle.total_seconds(),
        confirm=watch.confirm,
        marker=watch.done_marker,
        content=watch.hash,
        operations=frozenset(watch.operations),
        from_now=watch.start_from == "now",
        wants_events=watch.method == "notify",
        interval=watch.interval.total_seconds(),
        rescan=watch.rescan.total_seconds(),
    )
