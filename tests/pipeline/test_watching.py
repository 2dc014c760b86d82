"""Which method a source gets when none is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.files import only, write
from watcher.pipeline.load import load
from watcher.pipeline.watching import METHODS, all_watch_keys, homes_of


@pytest.mark.parametrize(
    ("source", "method"),
    [
        ("source_type: database, connection: c, table: t", "polling"),
        ("source_type: database, connection: c, table: t, watch: {}", "polling"),
        ("source_type: database, connection: c, table: t, watch: {column: u}", "timestamp"),
        ("source_type: database, connection: c, table: t, watch: {method: auto, column: u}", "timestamp"),
        ("source_type: database, connection: c, table: t, watch: {method: log_based}", "log"),
        ("source_type: filesystem, path: /data", "notify"),
        ("source_type: filesystem, path: /data, watch: {method: polling}", "polling"),
        ('source_type: filesystem, path: "s3://lake/x"', "polling"),
        ("source_type: api, endpoint: /x", "etag"),
        ("source_type: api, endpoint: /x, watch: {select: a}", "hash"),
        ("source_type: api, url: /x, watch: {method: items, select: a, key: id}", "items"),
        ('source_type: custom, detector: "a:b"', "custom"),
        ('source_type: custom, detector: "a:b", watch: {interval: 5s}', "custom"),
    ],
)
def test_auto_is_resolved_while_loading(tmp_path: Path, source: str, method: str) -> None:
    """After loading no watch is `auto`, whatever was written or left out."""
    text = f"name: a\nsources: [{{source_id: s, {source}}}]\ntrigger: {{changes: 5}}\n"
    pipeline = only(load(write(tmp_path, a=text), variables={}, availability=False))
    assert pipeline.sources[0].watch is not None
    assert pipeline.sources[0].watch.method == method


def test_every_method_has_one_model() -> None:
    """The table of methods is made from the models and complete."""
    assert {kind: set(methods) for kind, methods in METHODS.items()} == {
        "database": {"timestamp", "polling", "log"},
        "filesystem": {"notify", "polling"},
        "api": {"etag", "last_modified", "hash", "items", "webhook"},
        "custom": {"custom"},
    }
    assert {"column", "settle", "select", "secret", "interval"} <= all_watch_keys()
    assert list(homes_of("slot", "database")) == ["log"]
