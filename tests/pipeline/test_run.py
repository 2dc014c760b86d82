"""What crosses the border: a conf that always fits and always reads back as the batch it was made from."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.pipeline.drawn import FIRED, ORDERS, UID, batch, batches, jsons, landing, patient, texts
from watcher.detection import FileChange, Json, Range
from watcher.errors import ConfigError, WatcherError
from watcher.pipeline.run import (
    BatchFacts,
    BatchView,
    Payload,
    SourceFacts,
    build_conf,
    check_user_conf,
    manifest_bytes,
    read_batch,
)

payloads: st.SearchStrategy[Payload] = st.sampled_from(("summary", "files", "keys"))
own_confs = st.dictionaries(st.from_regex(r"[a-z_]{1,9}", fullmatch=True).filter("watcher".__ne__), jsons, max_size=3)


def conf_of(facts: BatchFacts, payload: Payload = "files", manifest: str | None = None, **more: Any) -> dict[str, Json]:
    return build_conf(facts, payload=payload, user_conf=more, url=None, manifest=manifest)


def block_of(conf: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = conf["watcher"]
    return found


def sent(conf: Mapping[str, Json]) -> Any:
    """What a task reads: the conf after it went through JSON as Airflow keeps it."""
    return json.loads(json.dumps(conf, allow_nan=False))


def view_of(conf: Mapping[str, Json]) -> BatchView:
    view = read_batch(sent(conf))
    assert view is not None
    return view


# -- properties --------------------------------------------------------------------------------------------------------


@patient
@given(batches(), payloads, own_confs)
def test_what_is_read_is_what_was_sent(facts: BatchFacts, payload: Payload, own: dict[str, Json]) -> None:
    """Names, counts, ranges, cursors and, where the payload lists them, the exact bytes of every file name."""
    if check_user_conf(own):
        return
    conf = build_conf(facts, payload=payload, user_conf=own, url="https://watcher.example/b", manifest=None)
    assert {key: value for key, value in sent(conf).items() if key != "watcher"} == own
    view = view_of(conf)
    assert (view.batch, view.uid, view.pipeline, view.url) == (
        f"b{facts.number:06d}",
        facts.uid,
        facts.pipeline,
        "https://watcher.example/b",
    )
    assert [*view.sources] == [source.source_id for source in facts.sources]
    for source in facts.sources:
        read = view.sources[source.source_id]
        assert (read.changes, read.bytes, read.operations) == (source.changes, source.bytes, source.operations)
        assert (read.cursor_from, read.cursor_to, read.range) == (source.cursor_from, source.cursor_to, source.range)
        assert read.listed == (payload != "summary" and bool(source.files))
    for moment, there in ((facts.first_change_at, view.first_change_at), (facts.last_change_at, view.last_change_at)):
        assert there == (None if moment is None else moment.replace(microsecond=0))


@patient
@given(st.binary(min_size=1, max_size=40).filter(lambda name: b"\0" not in name))
@example(b"caf\xe9 \xff%41+\n.csv")
@example("größe.csv".encode())
def test_every_byte_of_a_file_name_survives(name: bytes) -> None:
    """A name that is no UTF-8, or that looks percent-encoded itself, opens the same file on the other side."""
    import os
    from urllib.parse import quote_from_bytes

    change = FileChange("/in/" + quote_from_bytes(name), "insert", 1)
    view = view_of(conf_of(batch(SourceFacts("landing", 1, 1, {"insert": 1}, files=(change,)))))
    assert os.fsencode(view.sources["landing"].files[0]) == b"/in/" + name


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.integers(0, 900), min_size=1, max_size=400), payloads, st.integers(0, 31_000))
@example([0] * 400, "summary", 31_000)
@example([900], "files", 0)
def test_a_conf_never_exceeds_64_kib_and_loses_nothing(
    tmp_path: Path, files: list[int], payload: Payload, filler: int
) -> None:
    """Beyond the limit the lists, then the cursors, then the sources stand in the manifest; the reader sees them all."""
    several = [
        replace(landing(min(count, 900), 1, f"source_{number:03d}"), cursor_to="x" * 100)
        for number, count in enumerate(files[:1])
    ]
    several += [
        SourceFacts(f"table_{number:03d}", count, 1, {"insert": count}, cursor_to="x" * 100)
        for number, count in enumerate(files)
    ]
    facts = batch(*several)
    path = tmp_path / "b000017.json"
    path.write_bytes(manifest_bytes(facts))
    conf = conf_of(facts, payload, str(path), filler="x" * filler)
    assert len(json.dumps(conf)) <= 64 * 1024
    view = view_of(conf)
    assert {name: source.changes for name, source in view.sources.items()} == {s.source_id: s.changes for s in several}
    if payload != "summary":
        assert len(view.sources["source_000"].files) == min(files[0], 900)


@patient
@given(batches())
def test_a_manifest_is_the_same_bytes_every_time(facts: BatchFacts) -> None:
    """A second attempt writes the very file that the first one named, so its digest still holds."""
    turned = replace(facts, sources=tuple(reversed(facts.sources)))
    assert manifest_bytes(facts) == manifest_bytes(turned)
    assert json.loads(manifest_bytes(facts))["uid"] == facts.uid


@patient
@given(jsons | st.dictionaries(texts, jsons))
@example({"watcher": {"schema": 1, "batch": "b000001", "uid": "x", "pipeline": "p", "reason": "", "sources": {"a": 1}}})
@example({"watcher": {"schema": 1, "batch": "b000001", "uid": "x", "pipeline": "p", "reason": "", "sources": []}})
@example({"watcher": {"schema": 1}})
@example({"watcher": {"schema": True}})
@example({"watcher": {"schema": 2, "batch": "b000001"}})
@example({"watcher": []})
@example({})
@example(None)
def test_what_is_not_ours_is_no_batch(conf: Json) -> None:
    """A run that was started by hand, by schedule or by a newer daemon loads incrementally instead of failing."""
    assert read_batch(conf) is None


# -- the shape ---------------------------------------------------------------------------------------------------------


def test_a_conf_has_the_shape_of_the_pages() -> None:
    """Key for key what tasks and people rely on."""
    facts = replace(batch(ORDERS), first_change_at=FIRED.replace(microsecond=999_999))
    conf = build_conf(
        facts,
        payload="summary",
        user_conf={"load_type": "daily"},
        url="https://watcher.example/batches/b000017",
        manifest=None,
    )
    assert conf == {
        "watcher": {
            "schema": 1,
            "batch": "b000017",
            "uid": UID,
            "pipeline": "orders",
            "reason": "changes 1042 >= 1000",
            "first_change_at": "2026-11-22T14:10:06Z",
            "last_change_at": "2026-11-22T14:10:06Z",
            "sources": {
                "orders_db": {
                    "changes": 1042,
                    "bytes": 88210,
                    "operations": {"insert": 900, "update": 142},
                    "cursor": {"from": {"lsn": 1}, "to": {"lsn": 2}},
                    "range": {"column": "updated_at", "from": "2026-11-22 14:00", "to": "2026-11-22 14:10"},
                }
            },
            "url": "https://watcher.example/batches/b000017",
        },
        "load_type": "daily",
    }


def changed(*several: tuple[str, str]) -> BatchFacts:
    files = tuple(FileChange(path, operation, 1) for path, operation in several)  # type: ignore[arg-type]
    return batch(SourceFacts("landing", len(files), 1, {"unknown": len(files)}, files=files))


def test_a_file_stands_once_by_what_happened_to_it_last() -> None:
    """Written and then deleted is deleted; deleted and then written again is a file to load."""
    facts = changed(
        ("/a", "insert"), ("/b", "insert"), ("/a", "delete"), ("/c", "delete"), ("/c", "insert"), ("/b", "update")
    )
    entry = block_of(conf_of(facts))["sources"]["landing"]
    assert (entry["files"], entry["deleted"]) == (["/b", "/c"], ["/a"])


def test_a_summary_counts_files_instead_of_listing_them() -> None:
    """The reader can tell a count from an empty list."""
    conf = conf_of(changed(("/a", "insert"), ("/b", "delete"), ("/c", "update")), "summary")
    entry = block_of(conf)["sources"]["landing"]
    assert (entry["files"], entry["deleted"]) == (2, 1)
    view = view_of(conf).sources["landing"]
    assert (view.files, view.deleted, view.listed) == ((), (), False)


# -- the manifest ------------------------------------------------------------------------------------------------------


def big(tmp_path: Path) -> tuple[dict[str, Json], Path]:
    facts, path = batch(ORDERS, landing(3000, 7)), tmp_path / "b000017.json"
    path.write_bytes(manifest_bytes(facts))
    return conf_of(facts, manifest=str(path)), path


def test_long_lists_move_to_the_manifest_that_the_conf_names(tmp_path: Path) -> None:
    """The conf keeps the counts, the manifest all names; the reader sees one batch."""
    conf, path = big(tmp_path)
    manifest = block_of(conf)["manifest"]
    assert (manifest["path"], manifest["files"]) == (str(path), 3007)
    assert block_of(conf)["sources"]["landing"]["files"] == 3000
    view = view_of(conf)
    assert (len(view.sources["landing"].files), len(view.sources["landing"].deleted)) == (3000, 7)
    assert view.sources["orders_db"].range == ORDERS.range


@pytest.mark.parametrize("damage", ["gone", "changed", "cut", "folder"])
def test_a_manifest_that_is_not_the_one_sent_stops_the_run(tmp_path: Path, damage: str) -> None:
    """A run never goes on with less than its batch."""
    conf, path = big(tmp_path)
    content = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "gone":
        path.write_bytes(content[:-10] if damage == "cut" else content.replace(b"part-000001", b"part-999999"))
    with pytest.raises(WatcherError, match="b000017: its manifest") as raised:
        read_batch(sent(conf))
    assert raised.value.code == "unreadable-file"


def test_a_manifest_is_named_only_where_it_is_needed() -> None:
    """A small batch needs no file beside it."""
    assert "manifest" not in block_of(conf_of(batch(ORDERS, landing(3)), manifest="/state/b000017.json"))


def test_lists_stay_in_the_conf_to_the_last_byte_of_64_kib() -> None:
    """The limit is used, and never passed: around it a file more moves the lists away."""
    confs = [conf_of(batch(landing(count)), manifest="/state/b000017.json") for count in range(1200, 1300)]
    inline = [len(json.dumps(conf)) for conf in confs if "manifest" not in block_of(conf)]
    assert 64 * 1024 - 100 < max(inline) <= 64 * 1024
    assert len(inline) < len(confs)


def test_without_a_place_for_a_manifest_long_lists_become_counts() -> None:
    """The run is still sent, and can tell that it must find its files by itself."""
    conf = conf_of(batch(landing(3000)))
    assert block_of(conf)["sources"]["landing"]["files"] == 3000
    assert view_of(conf).sources["landing"].listed is False


def test_hundreds_of_sources_without_a_manifest_are_refused_by_name() -> None:
    """Nothing is left out silently."""
    many = [SourceFacts("s" * 150 + str(number), 1, 1, {"insert": 1}) for number in range(400)]
    with pytest.raises(ConfigError, match="b000017 does not fit"):
        conf_of(batch(*many))


# -- values that JSON or Airflow cannot take ---------------------------------------------------------------------------


def test_odd_values_of_a_cursor_become_text_and_never_break_a_run() -> None:
    """No NaN, no integer beyond 64 bits, no NUL, no half surrogate, no endless nesting reaches Airflow."""
    deep: Json = 1
    for _ in range(60):
        deep = [deep]
    odd: Json = {"nan": float("nan"), "big": 2**64, "nul": "a\0b", "half": "\ud800", "deep": deep}
    source = replace(ORDERS, cursor_from=odd, cursor_to=odd, range=Range("id", float("-inf"), 2**63 - 1))
    conf = conf_of(batch(source))
    entry = block_of(conf)["sources"]["orders_db"]
    cursor = entry["cursor"]["to"]
    assert (cursor["nan"], cursor["big"], cursor["nul"], cursor["half"]) == ("nan", str(2**64), "a\ufffdb", "\ufffd")
    assert (entry["range"]["from"], entry["range"]["to"]) == ("-inf", 2**63 - 1)
    assert depth(conf) <= 32
    assert view_of(conf).sources["orders_db"].cursor_to == cursor


def depth(value: Json) -> int:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return max((1 + depth(item) for item in inside), default=0)


def test_a_user_conf_that_breaks_the_rules_is_refused_with_all_its_faults() -> None:
    """The loader refuses it first; what slips by is still never sent."""
    with pytest.raises(ConfigError, match=re.escape("conf.a: nan is not JSON")) as raised:
        conf_of(batch(ORDERS), a=float("nan"), watcher={})
    assert "reserved" in str(raised.value)
    assert raised.value.code == "bad-value"


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"uid": 7},
        {"first_change_at": "yesterday"},
        {"first_change_at": "2026-11-22T14:10:06"},
        {"manifest": 3},
        {"manifest": {"path": "/x"}},
        {"sources": {"orders_db": {"changes": "many", "bytes": 1, "operations": {}}}},
        {"sources": {"orders_db": {"changes": True, "bytes": 1, "operations": {}}}},
        {"sources": {"orders_db": {"changes": 1, "bytes": 1, "operations": {}, "files": "abc"}}},
        {"sources": {"orders_db": {"changes": 1, "bytes": 1, "operations": {}, "files": ["\ud800"]}}},
        {"sources": {"orders_db": {"changes": 1, "bytes": 1, "operations": {}, "range": {"column": "id"}}}},
    ],
)
def test_a_conf_that_somebody_wrote_by_hand_is_no_batch(change: dict[str, Any]) -> None:
    """A block that only resembles ours is not half believed."""
    conf = conf_of(batch(ORDERS))
    assert read_batch({"watcher": {**block_of(conf), **change}}) is None
