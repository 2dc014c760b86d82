"""A YAML file as an immutable tree in which every key and value knows its file, line and column, also after merging."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from watcher.pipeline.problems import Problem, Severity, printable

Way: TypeAlias = tuple[str | int, ...]
"""The keys and list places that lead from the top to a value."""


@dataclass(frozen=True, slots=True, eq=False)
class SourceText:
    """A file as it was read; `path` is the name under which people know it."""

    path: Path
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands: line and column count from 1, `width` in characters on that line."""

    file: SourceText
    line: int
    column: int
    width: int = 1

    @property
    def text(self) -> str:
        """The whole source line."""
        return self.file.lines[self.line - 1] if 0 < self.line <= len(self.file.lines) else ""

    def problem(self, code: str, message: str, hint: str = "", severity: Severity = "error") -> Problem:
        """A problem of this place."""
        said, way_out = printable(message), printable(hint)
        return Problem(
            self.file.path, self.line, self.column, code, said, way_out, severity, self.text, max(1, self.width)
        )


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """One value; `plain` when it was written without quotes."""

    value: bool | int | float | str | None
    place: Place
    plain: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A key's place and its value."""

    place: Place
    value: Tree


@dataclass(frozen=True, slots=True, eq=False)
class Fields:
    """A mapping; the entries are in the order of the file."""

    place: Place
    entries: Mapping[str, Entry] = field(default_factory=dict)

    def get(self, key: str) -> Tree | None:
        """The value of a key, or None when it is not there."""
        entry = self.entries.get(key)
        return entry.value if entry else None

    def fields(self, key: str) -> Fields | None:
        """The value of a key when it is a mapping."""
        value = self.get(key)
        return value if isinstance(value, Fields) else None

    def text(self, key: str) -> str | None:
        """The value of a key when it is a text."""
        value = self.get(key)
        return value.value if isinstance(value, Scalar) and isinstance(value.value, str) else None

    def with_entry(self, key: str, entry: Entry) -> Fields:
        """The same with one entry set; a key that is there keeps its position."""
        return replace(self, entries={**self.entries, key: entry})

    def with_value(self, key: str, value: Tree) -> Fields:
        """The same with one value set; a key that was not written stands where its value stands."""
        known = self.entries.get(key)
        return self.with_entry(key, Entry(known.place if known else value.place, value))

    def without(self, *keys: str) -> Fields:
        """The same without some keys."""
        return replace(self, entries={key: entry for key, entry in self.entries.items() if key not in keys})


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """A list."""

    place: Place
    items: tuple[Tree, ...] = ()


Tree: TypeAlias = Scalar | Fields | Items


def plain(tree: Tree) -> Any:
    """The tree as dicts, lists and values."""
    if isinstance(tree, Fields):
        return {key: plain(entry.value) for key, entry in tree.entries.items()}
    return [plain(item) for item in tree.items] if isinstance(tree, Items) else tree.value


def merge(base: Tree, over: Tree) -> Tree:
    """Mappings are merged key by key, everything else of `over` wins; each value keeps its own place."""
    if not isinstance(base, Fields) or not isinstance(over, Fields):
        return over
    merged = base
    for key, entry in over.entries.items():
        known = base.entries.get(key)
        merged = merged.with_entry(key, Entry(entry.place, merge(known.value, entry.value)) if known else entry)
    return merged


def real_way(tree: Tree, way: Way) -> Way:
    """The part of a way that the tree has; steps that are no keys of it (the tag of a union) are left out."""
    found: list[str | int] = []
    for step in way:
        inner = _child(tree, step)
        if inner is not None:
            found.append(step)
            tree = inner.value
    return tuple(found)


def find(tree: Tree, way: Way, *, key: bool = False) -> Place:
    """Where the deepest existing value of a way stands. A collection is shown by its key, and so is all with `key`."""
    place = tree.place
    for step in real_way(tree, way):
        entry = _child(tree, step)
        if entry is not None:
            place, tree = entry.place, entry.value
    return place if key or not isinstance(tree, Scalar) or not tree.place.width else tree.place


def without(tree: Tree, way: Way) -> Tree:
    """The tree without the value at an existing way."""
    return _rebuilt(tree, way, None)


def with_value(tree: Tree, way: Way, value: Tree) -> Tree:
    """The tree with another value at an existing way."""
    return _rebuilt(tree, way, value)


def renamed(fields: Fields, old: str, new: str) -> Fields:
    """The mapping with one key spelled otherwise, in the same position."""
    return replace(fields, entries={new if key == old else key: entry for key, entry in fields.entries.items()})


def walk(tree: Tree, way: Way = ()) -> Iterator[tuple[Way, Scalar]]:
    """Every scalar with the way to it."""
    if isinstance(tree, Scalar):
        yield way, tree
    for step, entry in _children(tree):
        yield from walk(entry.value, (*way, step))


def _children(tree: Tree) -> Iterator[tuple[str | int, Entry]]:
    if isinstance(tree, Fields):
        yield from tree.entries.items()
    elif isinstance(tree, Items):
        yield from ((step, Entry(item.place, item)) for step, item in enumerate(tree.items))


def _child(tree: Tree, step: str | int) -> Entry | None:
    if isinstance(tree, Fields):
        return tree.entries.get(str(step))
    if isinstance(tree, Items) and isinstance(step, int) and 0 <= step < len(tree.items):
        return Entry(tree.items[step].place, tree.items[step])
    return None


def _rebuilt(tree: Tree, way: Way, value: Tree | None) -> Tree:
    step, rest = way[0], way[1:]
    entry = _child(tree, step)
    if entry is None:
        return tree
    inner = _rebuilt(entry.value, rest, value) if rest else value
    if isinstance(tree, Fields):
        return tree.with_value(str(step), inner) if inner else tree.without(str(step))
    if isinstance(tree, Items):
        before, after = tree.items[: int(step)], tree.items[int(step) + 1 :]
        return replace(tree, items=(*before, inner, *after) if inner else (*before, *after))
    return tree


def places(tree: Tree | None) -> Iterator[tuple[Path, int, int]]:
    """Path, line and column of every key and value of a tree."""
    if tree is None:
        return
    yield tree.place.file.path, tree.place.line, tree.place.column
    for _, entry in _children(tree):
        yield entry.place.file.path, entry.place.line, entry.place.column
        yield from places(entry.value)
