"""Ranges of one batch: merged where one stretch covers them, left out where none can."""

from __future__ import annotations

import pytest

from watcher.detection import Range
from watcher.store.handover import merge


@pytest.mark.parametrize(
    ("ranges", "merged"),
    [
        ([Range("c", 1, 5), Range("c", 3, 9)], Range("c", 1, 9)),
        ([Range("c", None, 5), Range("c", 3, 9)], Range("c", None, 9)),
        ([Range("c", 1, 5), Range("d", 3, 9)], None),
        ([Range("c", 1, 5), None], None),
        ([Range("c", 1, 5), Range("c", "2026-01-01", "2026-01-02")], None),
    ],
)
def test_a_stretch_is_told_only_where_it_covers_every_change(ranges: list[Range | None], merged: Range | None) -> None:
    """Numbers and texts in one column do not compare: no range, and no crash."""
    assert merge(ranges) == merged
