"""`_defaults.yaml`, a pipeline's own `defaults:` and one of its `environments:` laid over each other, places kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import reduce
from typing import Final

from watcher.pipeline.problems import Problem
from watcher.pipeline.tree import Entry, Fields, Items, Scalar, Tree, find, merge, renamed
from watcher.pipeline.watching import for_method, resolve_watch, unaliased_watch

ALIASES: Final[Mapping[str, str]] = {"schedule_interval": "schedule", "quality_rules": "validations"}
SOURCE_ALIASES: Final[Mapping[str, str]] = {"url": "endpoint"}
ONLY_IN_A_PIPELINE: Final = frozenset(
    {"name", "description", "dag_id", "sources", "transformations", "validations", "snowflake", "dependencies"}
)
"""Keys that `_defaults.yaml` cannot hold."""
ONLY_OUTSIDE: Final = frozenset({"name", "version", "environments"})
"""Keys that cannot differ between environments."""
_FREE: Final = frozenset(
    {"conf", "options", "vars", "params", "headers", "parameters", "pagination", "expect", "labels"}
)
"""Keys below which null is a value of the user's and not "not given"."""


@dataclass(slots=True)
class Layers:
    """The files of one pipeline, farthest `_defaults.yaml` first, and what is wrong with how they lie on each other."""

    files: Sequence[Fields]
    problems: list[Problem] = field(default_factory=list)

    @property
    def environments(self) -> tuple[str, ...]:
        """The names of all environments, sorted."""
        named = (layer.fields("environments") for layer in self.files)
        return tuple(sorted({name for block in named if block for name in block.entries}))

    def merged(self, environment: str | None) -> Fields:
        """All layers as one mapping, `environments` gone and `defaults` still in it."""
        *defaults, own = self.files
        layers = [self._canonical(self._allowed(layer)) for layer in defaults] + [self._canonical(own)]
        base = reduce(_merged, layers)
        block = base.fields("environments")
        if block is None and base.get("environments") is not None:
            self._refuse_mapping(base, "environments")
        overlay = block.get(environment) if block and environment else None
        base = base.without("environments")
        if isinstance(overlay, Fields):
            base = self._overlaid(base, self._canonical(overlay))
        elif overlay is not None and not _is_null(overlay) and block and environment:
            self._refuse_mapping(block, environment)
        return _without_nulls(base)

    def _allowed(self, layer: Fields) -> Fields:
        for key in ONLY_IN_A_PIPELINE & layer.entries.keys():
            place = layer.entries[key].place
            self.problems.append(
                place.problem("unknown-key", f'"{key}" cannot stand in _defaults.yaml', "move it into a pipeline")
            )
        return layer.without(*ONLY_IN_A_PIPELINE)

    def _canonical(self, layer: Fields) -> Fields:
        layer = _with_retries(self._unaliased(layer, ALIASES))
        defaults = layer.fields("defaults")
        watch = unaliased_watch(defaults.get("watch")) if defaults else None
        if defaults and watch:
            layer = layer.with_value("defaults", defaults.with_value("watch", watch))
        sources = layer.get("sources")
        if isinstance(sources, Items):
            items = tuple(self._source(item) for item in sources.items)
            return layer.with_value("sources", replace(sources, items=items))
        if isinstance(sources, Fields):
            entries = {key: Entry(entry.place, self._source(entry.value)) for key, entry in sources.entries.items()}
            return layer.with_value("sources", replace(sources, entries=entries))
        return layer

    def _source(self, source: Tree) -> Tree:
        if not isinstance(source, Fields):
            return source
        source = self._unaliased(source, SOURCE_ALIASES)
        watch = unaliased_watch(source.get("watch"))
        return source if watch is None else source.with_value("watch", watch)

    def _unaliased(self, fields: Fields, aliases: Mapping[str, str]) -> Fields:
        for alias, key in aliases.items():
            entry = fields.entries.get(alias)
            if entry is None:
                continue
            if key not in fields.entries:
                fields = renamed(fields, alias, key)
                continue
            self.problems.append(
                entry.place.problem("duplicate-key", f"{alias} and {key} mean the same", "delete one of the two")
            )
            fields = fields.without(alias)
        return fields

    def _overlaid(self, base: Fields, overlay: Fields) -> Fields:
        for key in ONLY_OUTSIDE & overlay.entries.keys():
            place = overlay.entries[key].place
            self.problems.append(
                place.problem("unknown-key", f'"{key}" cannot differ between environments', "take it out")
            )
        overlay = overlay.without(*ONLY_OUTSIDE)
        sources = overlay.get("sources")
        if sources is None:
            return _merged(base, overlay)
        merged = _merged(base, overlay.without("sources"))
        if not isinstance(sources, Fields):
            hint = "write {source_id: {what differs}}"
            place = find(overlay, ("sources",), key=True)
            self.problems.append(place.problem("bad-value", "sources of an environment must be a mapping", hint))
            return merged
        return self._with_sources(merged, sources)

    def _with_sources(self, base: Fields, overlays: Fields) -> Fields:
        listed = base.get("sources")
        if not isinstance(listed, Items):
            return base
        items = list(listed.items)
        places = {item.text("source_id"): place for place, item in enumerate(items) if isinstance(item, Fields)}
        for source_id, entry in overlays.entries.items():
            item = items[places[source_id]] if source_id in places else None
            if isinstance(item, Fields) and isinstance(entry.value, Fields):
                items[places[source_id]] = _merged_source(item, entry.value)
            elif item is None:
                near = get_close_matches(source_id, [known for known in places if known], 1)
                hint = f'did you mean "{near[0]}"?' if near else "name one of `sources:`"
                self.problems.append(
                    entry.place.problem("unknown-source", f'no source "{source_id}" in this pipeline', hint)
                )
            else:
                self._refuse_mapping(overlays, source_id)
        return base.with_value("sources", replace(listed, items=tuple(items)))

    def _refuse_mapping(self, fields: Fields, key: str) -> None:
        self.problems.append(
            find(fields, (key,)).problem("bad-value", f"{key} must be a mapping of keys", "write key: value below it")
        )


def with_defaults(merged: Fields) -> Fields:
    """The sources with `defaults:` filled in and their `watch` resolved; `defaults` itself is gone."""
    defaults = merged.fields("defaults") or Fields(merged.place)
    pipeline = merged.without("defaults")
    sources = pipeline.get("sources")
    if not isinstance(sources, Items):
        return pipeline
    triggered = pipeline.get("trigger") is not None or pipeline.get("schedule") is None
    items = tuple(_filled(item, defaults, triggered=triggered) for item in sources.items)
    return pipeline.with_value("sources", replace(sources, items=items))


def _filled(source: Tree, defaults: Fields, *, triggered: bool) -> Tree:
    if not isinstance(source, Fields):
        return source
    connection = defaults.entries.get("connection")
    if connection and "connection" not in source.entries and _connects(source):
        source = source.with_entry("connection", connection)
    for key in ("freshness", "ingest"):
        offered = defaults.entries.get(key)
        if offered is not None:
            own = source.get(key)
            entry = Entry(offered.place, offered.value if own is None else merge(offered.value, own))
            source = source.with_entry(key, entry)
    return resolve_watch(source, defaults.fields("watch"), triggered=triggered)


def _connects(source: Fields) -> bool:
    kind = source.text("source_type")
    return kind == "database" or (kind == "api" and "://" not in (source.text("endpoint") or ""))


def _merged(base: Fields, over: Fields) -> Fields:
    both = merge(base, over)
    return both if isinstance(both, Fields) else over


def _merged_source(base: Fields, over: Fields) -> Fields:
    """As any mapping, but another `method` leaves the keys behind that only the old one knew."""
    watch, change = base.fields("watch"), over.fields("watch")
    if watch and change and change.text("method") not in (None, watch.text("method")):
        watch = for_method(watch, base.text("source_type") or "", change.text("method"))
        base = base.with_value("watch", watch)
    return _merged(base, over)


def _with_retries(layer: Fields) -> Fields:
    """The retries of `defaults:` below those of the same file, so that a nearer file's defaults beat a farther file."""
    defaults = layer.fields("defaults")
    offered = defaults.entries.get("retries") if defaults else None
    if defaults is None or offered is None:
        return layer
    own = layer.get("retries")
    entry = Entry(offered.place, offered.value if own is None else merge(offered.value, own))
    return layer.with_entry("retries", entry).with_value("defaults", defaults.without("retries"))


def _is_null(tree: Tree) -> bool:
    return isinstance(tree, Scalar) and tree.value is None


def _without_nulls(fields: Fields) -> Fields:
    """A key without a value is a key that was not given."""
    entries = {key: entry for key, entry in fields.entries.items() if not _is_null(entry.value)}
    return replace(
        fields, entries={key: Entry(entry.place, _inner(key, entry.value)) for key, entry in entries.items()}
    )


def _inner(key: str, tree: Tree) -> Tree:
    if key in _FREE:
        return tree
    if isinstance(tree, Items):
        return replace(tree, items=tuple(_inner("", item) for item in tree.items))
    return _without_nulls(tree) if isinstance(tree, Fields) else tree
