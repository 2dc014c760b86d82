"""Which model of `watch:` a source gets: `auto` and absent are resolved here, and the file's defaults are filled in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Final, get_args

from pydantic import BaseModel

from watcher.pipeline.tree import Entry, Fields, Scalar, Tree
from watcher.pipeline.watches import (
    ApiItems,
    ApiResource,
    ApiWebhook,
    CustomWatch,
    FilesystemWatch,
    TableLog,
    TablePolling,
    TableTimestamp,
)


def _by_method(*models: type[BaseModel]) -> dict[str, type[BaseModel]]:
    return {method: model for model in models for method in get_args(model.model_fields["method"].annotation)}


METHODS: Final[Mapping[str, Mapping[str, type[BaseModel]]]] = {
    "database": _by_method(TableTimestamp, TablePolling, TableLog),
    "filesystem": _by_method(FilesystemWatch),
    "api": _by_method(ApiResource, ApiItems, ApiWebhook),
    "custom": _by_method(CustomWatch),
}
"""source_type -> method -> the model of its `watch:`."""


def all_watch_keys() -> frozenset[str]:
    """Every key that some method knows."""
    models = [model for methods in METHODS.values() for model in methods.values()]
    return frozenset(key for model in models for key in model.model_fields)


def homes_of(key: str, source_type: str) -> Iterator[str]:
    """The methods of a source_type that know a key."""
    return (method for method, model in METHODS.get(source_type, {}).items() if key in model.model_fields)


def for_method(watch: Fields, source_type: str, method: str | None) -> Fields:
    """The watch without the keys that belong only to other methods; what is no key at all stays, to be refused."""
    model = METHODS.get(source_type, {}).get(method or "")
    if model is None:
        return watch
    foreign = [key for key in watch.entries if key not in model.model_fields and any(homes_of(key, source_type))]
    return watch.without(*foreign)


def resolve_watch(source: Fields, defaults: Fields | None, *, triggered: bool) -> Fields:
    """The source with `watch` as one method's keys, or without it when the daemon shall not look."""
    watch = source.get("watch")
    if isinstance(watch, Scalar) and watch.value is False:
        return source.without("watch")
    if watch is None and triggered:
        watch = Fields(source.place)
    if not isinstance(watch, Fields):
        return source
    kind = _kind(source)
    if kind is None:
        return source
    offered = defaults or Fields(source.place)
    method = _method(source, watch, offered, kind)
    known = METHODS.get(kind, {}).get(str(method.value))
    for key, entry in offered.entries.items():
        if known is not None and key in known.model_fields and key not in watch.entries:
            watch = watch.with_entry(key, entry)
    return source.with_value("watch", watch.with_value("method", method))


def _kind(source: Fields) -> str | None:
    """The source_type, or the one that was probably meant; what is below it is then judged as well."""
    return next(iter(get_close_matches(source.text("source_type") or "", METHODS, 1)), None)


def _method(source: Fields, watch: Fields, defaults: Fields, kind: str) -> Scalar:
    own = watch.get("method")
    if isinstance(own, Scalar) and own.value not in ("auto", None):
        return own
    offered = defaults.get("method")
    if own is None and isinstance(offered, Scalar) and offered.value in METHODS.get(kind, {}):
        return offered
    place = watch.entries["method"].place if own is not None else watch.place
    return Scalar(_automatic(source, watch, defaults, kind), place)


def _automatic(source: Fields, watch: Fields, defaults: Fields, kind: str) -> str:
    if kind == "database":
        return "timestamp" if _has(watch, "column") or _has(defaults, "column") else "polling"
    if kind == "filesystem":
        return "polling" if "://" in (source.text("path") or "") else "notify"
    if kind == "api":
        return "hash" if _has(watch, "select") or _has(defaults, "select") else "etag"
    return "custom"


def _has(fields: Fields, key: str) -> bool:
    return fields.get(key) is not None


def unaliased_watch(tree: Tree | None) -> Tree | None:
    """`log_based` is `log`."""
    if not isinstance(tree, Fields) or tree.text("method") != "log_based":
        return tree
    entry = tree.entries["method"]
    place = entry.value.place
    return tree.with_entry("method", Entry(entry.place, Scalar("log", place)))
