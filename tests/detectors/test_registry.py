"""The registry: every kind of `watch:` has its detector, or says that this version has none."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from watcher.detectors import Context, available, identity, make_detector
from watcher.detectors.filesystem import FilesystemDetector
from watcher.detectors.table import PollingDetector, RowsDetector, TimestampDetector
from watcher.errors import ConfigError
from watcher.pipeline.model import (
    DatabaseSource,
    FilesystemSource,
    FilesystemWatch,
    TableLog,
    TablePolling,
    TableTimestamp,
)

URL = "sqlite:////data/shop.db"


def database(watch: Any, **given: Any) -> DatabaseSource:
    return DatabaseSource(**{"source_id": "shop", "connection": "shop_db", "table": "orders", "watch": watch, **given})


@pytest.mark.parametrize(
    ("watch", "made"),
    [
        (TableTimestamp(column="updated_at"), TimestampDetector),
        (TablePolling(), PollingDetector),
        (TablePolling(compare="rows"), RowsDetector),
    ],
)
async def test_each_method_has_its_detector(watch: Any, made: type) -> None:
    """A database source is watched by the detector of its method; nothing is opened by making it."""
    detector = make_detector(database(watch), Context(URL))
    assert isinstance(detector, made)
    assert available(type(watch))
    await detector.close()


async def test_files_need_no_connection() -> None:
    """A folder is watched without a connection."""
    detector = make_detector(FilesystemSource(source_id="files", path="/data", watch=FilesystemWatch()), Context())
    assert isinstance(detector, FilesystemDetector)
    await detector.close()


def test_what_is_not_available_says_so() -> None:
    """A method without a detector, and a database without a connection, are errors of the file."""
    assert not available(TableLog)
    with pytest.raises(ConfigError) as caught:
        make_detector(database(TableLog()), Context(URL))
    assert caught.value.code == "not-available"
    with pytest.raises(ConfigError) as caught:
        make_detector(database(TablePolling()), Context())
    assert caught.value.code == "unknown-connection"


def test_the_identity_is_what_is_watched() -> None:
    """Another table, column or connection is another identity; another interval or start is not."""
    same = database(TableTimestamp(column="updated_at"))
    alike = database(TableTimestamp(column="updated_at", interval=timedelta(seconds=5), start_from="beginning"))
    assert identity(same) == identity(alike)
    others = [
        database(TableTimestamp(column="created_at")),
        database(TableTimestamp(column="updated_at"), table="lines"),
        database(TableTimestamp(column="updated_at"), connection="other_db"),
        database(TablePolling()),
        database(TablePolling(compare="rows")),
    ]
    assert len({identity(source) for source in (same, *others)}) == 6


def test_events_or_scans_keep_the_inventory() -> None:
    """Switching a folder between `notify` and `polling` keeps what is known of its files."""
    kinds = [
        identity(FilesystemSource(source_id="files", path="/data", watch=FilesystemWatch(method=method)))
        for method in ("notify", "polling")
    ]
    assert kinds[0] == kinds[1]
