"""The contract across the border: what the daemon sends with a run is what the run's tasks read, byte for byte."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal
from urllib.parse import unquote_to_bytes

from watcher.detection import FileChange, Json, Range
from watcher.errors import ConfigError, WatcherError
from watcher.pipeline.facts import BatchFacts, SourceFacts, batch_name, is_run_id, make_run_id
from watcher.pipeline.note import build_note
from watcher.pipeline.user_conf import RESERVED, check_user_conf, encoded_size, plain

__all__ = [
    "CONF_LIMIT",
    "SCHEMA",
    "BatchFacts",
    "BatchView",
    "Payload",
    "SourceFacts",
    "SourceView",
    "batch_name",
    "build_conf",
    "build_note",
    "check_user_conf",
    "is_run_id",
    "make_run_id",
    "manifest_bytes",
    "read_batch",
]

SCHEMA: Final = 1
CONF_LIMIT: Final = 64 * 1024
"""Bytes of JSON that a whole conf may have."""

_REASON_LENGTH: Final = 1000

Payload = Literal["summary", "files", "keys"]


# -- the daemon's side -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Detail:
    """How much of its sources a conf carries; the next one of `_DETAILS` is tried when it is too large."""

    lists: bool
    cursors: bool = True
    sources: bool = True


_DETAILS: Final = (_Detail(True), _Detail(False), _Detail(False, cursors=False), _Detail(False, False, False))


def build_conf(
    facts: BatchFacts, *, payload: Payload, user_conf: Mapping[str, object], url: str | None, manifest: str | None
) -> dict[str, Json]:
    """The `conf` of the batch's run: at most 64 KiB of JSON, the key `watcher` beside the user's own.

    With payload `summary`, or where the lists of files do not fit, `files` and `deleted` are counts. What does not fit
    is in the manifest: the conf then names it under `manifest`, and `manifest_bytes(facts)` must stand at that path
    before the run is asked for. Raises ConfigError when `user_conf` breaks the rules of check_user_conf, or when
    hundreds of sources need a manifest and there is no path for one.
    """
    problems = check_user_conf(user_conf)
    if problems:
        raise ConfigError("; ".join(problems), code="bad-value")
    own = {str(key): plain(value) for key, value in user_conf.items()}
    small = sum(len(file.path) for source in facts.sources for file in source.files) < CONF_LIMIT
    named: dict[str, Json] | None = None
    for detail in _DETAILS:
        lists = detail.lists and payload != "summary"
        if (lists and not small) or (manifest is None and not detail.sources):
            continue
        block = _block(facts, _Detail(lists, detail.cursors, detail.sources), url)
        if manifest is not None and not detail.lists:
            named = named or _manifest(facts, manifest)
            block["manifest"] = named
        conf: dict[str, Json] = {RESERVED: block, **own}
        if encoded_size(conf) <= CONF_LIMIT:
            return conf
    raise ConfigError(f"the conf of {batch_name(facts.number)} does not fit into 64 KiB", code="bad-value")


def manifest_bytes(facts: BatchFacts) -> bytes:
    """The file that holds what a conf cannot: all sources with all their files. The same facts give the same bytes."""
    sources: dict[str, Json] = {source.source_id: _source(source, _Detail(True)) for source in facts.sources}
    body = {"schema": SCHEMA, "batch": batch_name(facts.number), "uid": facts.uid, "sources": sources}
    return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _manifest(facts: BatchFacts, path: str) -> dict[str, Json]:
    files = sum(len(part) for source in facts.sources for part in _split(source.files))
    return {"path": path, "sha256": hashlib.sha256(manifest_bytes(facts)).hexdigest(), "files": files}


def _block(facts: BatchFacts, detail: _Detail, url: str | None) -> dict[str, Json]:
    block: dict[str, Json] = {
        "schema": SCHEMA,
        "batch": batch_name(facts.number),
        "uid": facts.uid,
        "pipeline": facts.pipeline,
        "reason": facts.reason[:_REASON_LENGTH],
    }
    for key, moment in (("first_change_at", facts.first_change_at), ("last_change_at", facts.last_change_at)):
        if moment is not None:
            block[key] = moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    sources = facts.sources if detail.sources else ()
    block["sources"] = {source.source_id: _source(source, detail) for source in sources}
    if url is not None:
        block["url"] = url
    return block


def _source(source: SourceFacts, detail: _Detail) -> dict[str, Json]:
    entry: dict[str, Json] = {
        "changes": source.changes,
        "bytes": source.bytes,
        "operations": {operation: count for operation, count in source.operations.items() if count},
    }
    if detail.cursors:
        entry["cursor"] = {"from": plain(source.cursor_from, 24), "to": plain(source.cursor_to, 24)}
    if source.range is not None:
        low, high = plain(source.range.low, 24), plain(source.range.high, 24)
        entry["range"] = {"column": source.range.column, "from": low, "to": high}
    if source.files:
        present, deleted = _split(source.files)
        entry["files"] = [*present] if detail.lists else len(present)
        entry["deleted"] = [*deleted] if detail.lists else len(deleted)
    return entry


def _split(files: Iterable[FileChange]) -> tuple[list[str], list[str]]:
    """Paths that are there and paths that are gone, each path once, by what happened to it last."""
    last = {file.path: file.operation == "delete" for file in files}
    return [path for path, gone in last.items() if not gone], [path for path, gone in last.items() if gone]


# -- the run's side ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SourceView:
    """What one source gave to the batch of this run.

    `files` and `deleted` are names as the operating system takes them. Without `listed` the run was sent only counts,
    or the source has no files, and both are empty.
    """

    source_id: str
    changes: int
    bytes: int
    operations: Mapping[str, int]
    cursor_from: Json
    cursor_to: Json
    range: Range | None
    files: tuple[str, ...]
    deleted: tuple[str, ...]
    listed: bool


@dataclass(frozen=True, slots=True)
class BatchView:
    """The batch that this run is for."""

    batch: str
    uid: str
    pipeline: str
    reason: str
    first_change_at: datetime | None
    last_change_at: datetime | None
    sources: Mapping[str, SourceView]
    url: str | None


def read_batch(conf: object) -> BatchView | None:
    """The batch in a run's conf; None when there is none of a shape that we know: the run then loads incrementally.

    Reads the manifest where the conf names one. Raises WatcherError (`unreadable-file`) when that is gone or not the
    one that was sent: the run must not go on with less than its batch.
    """
    block = conf.get(RESERVED) if isinstance(conf, Mapping) else None
    if not isinstance(block, Mapping) or block.get("schema") != SCHEMA:
        return None
    try:
        manifest = None if block.get("manifest") is None else _mapping(block["manifest"])
        view = _view(block, _mapping(block["sources"]))
        named = None if manifest is None else (_str(manifest["path"]), _str(manifest["sha256"]))
    except (KeyError, TypeError, ValueError):
        return None
    if named is None:
        return view
    try:
        return _view(block, _mapping(_load_manifest(*named)["sources"]))
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise WatcherError(f"{view.batch}: its manifest {named[0]} is not usable", code="unreadable-file") from error


def _load_manifest(path: str, digest: str) -> Mapping[object, object]:
    """The body of the file, once its digest is right. Raises OSError, ValueError, TypeError."""
    if not Path(path).is_file():
        raise FileNotFoundError(path)
    with Path(path).open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != digest:
            raise ValueError(f"sha256 is {found}, the conf says {digest}")
        file.seek(0)
        return _mapping(json.load(file))


def _view(block: Mapping[object, object], sources: Mapping[object, object]) -> BatchView:
    return BatchView(
        batch=_str(block["batch"]),
        uid=_str(block["uid"]),
        pipeline=_str(block["pipeline"]),
        reason=_str(block["reason"]),
        first_change_at=_time(block.get("first_change_at")),
        last_change_at=_time(block.get("last_change_at")),
        sources={_str(source_id): _read_source(_str(source_id), _mapping(e)) for source_id, e in sources.items()},
        url=None if block.get("url") is None else _str(block["url"]),
    )


def _read_source(source_id: str, entry: Mapping[object, object]) -> SourceView:
    cursor = _mapping(entry.get("cursor", {}))
    files, deleted = entry.get("files"), entry.get("deleted")
    return SourceView(
        source_id=source_id,
        changes=_int(entry["changes"]),
        bytes=_int(entry["bytes"]),
        operations={_str(key): _int(count) for key, count in _mapping(entry["operations"]).items()},
        cursor_from=plain(cursor.get("from")),
        cursor_to=plain(cursor.get("to")),
        range=_read_range(entry.get("range")),
        files=_names(files),
        deleted=_names(deleted),
        listed=isinstance(files, list) or isinstance(deleted, list),
    )


def _read_range(value: object) -> Range | None:
    if value is None:
        return None
    bounds = _mapping(value)
    return Range(_str(bounds["column"]), plain(bounds["from"]), plain(bounds["to"]))


def _names(value: object) -> tuple[str, ...]:
    if value is None or isinstance(value, int):
        return ()
    if not isinstance(value, list):
        raise TypeError(f"a list of files is {type(value).__name__}")
    return tuple(os.fsdecode(unquote_to_bytes(_str(path))) for path in value)


def _mapping(value: object) -> Mapping[object, object]:
    if not isinstance(value, Mapping):
        raise TypeError(f"a mapping is {type(value).__name__}")
    return value


def _str(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text is {type(value).__name__}")
    return value


def _int(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"a count is {type(value).__name__}")
    return value


def _time(value: object) -> datetime | None:
    moment = None if value is None else datetime.fromisoformat(_str(value))
    if moment is not None and moment.tzinfo is None:
        raise ValueError(f"a time without a zone: {value}")
    return moment
