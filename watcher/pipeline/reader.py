"""One file to one tree: YAML 1.2 within hard limits, every problem with its place; a bad file never raises."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from watcher.pipeline.problems import Problem
from watcher.pipeline.tree import Entry, Fields, Items, Place, Scalar, SourceText, Tree

LARGEST_FILE: Final = 1024 * 1024
DEEPEST: Final = 32
MOST_ALIASES: Final = 100
MOST_VALUES: Final = 5_000
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT: Final = re.compile(r"[-+]?[0-9]{1,400}|0o[0-7]{1,400}|0x[0-9a-fA-F]{1,400}", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_SPECIAL: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_ABYSS: Final = re.compile(r"(?:[\[{]\s*){100}")
"""So many brackets in a row that the parser's own look-ahead would take seconds before it came to the limit of depth."""
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_FOREIGN_FAILURES: Final = (
    YAMLError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What ruamel.yaml raises on malformed text; beside its own errors a good many that it never meant to."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file says, and what is wrong with its YAML. `tree` None: nothing can be said about its contents."""

    source: SourceText
    tree: Fields | None
    problems: tuple[Problem, ...]


def read_file(path: Path, shown: Path) -> Reading:
    """Read a regular file of at most 1 MiB; `shown` is the path that problems name."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return _unreadable(shown, "this is not a regular file")
        with path.open("rb") as file:
            body = file.read(LARGEST_FILE + 1)
    except OSError as error:
        return _unreadable(shown, f"the file cannot be read: {os.strerror(error.errno or 0)}")
    if len(body) > LARGEST_FILE:
        return _unreadable(shown, "the file is larger than 1 MiB")
    try:
        return read_text(body.decode("utf-8-sig"), shown)
    except UnicodeDecodeError as error:
        return _unreadable(shown, "the file is not UTF-8", body.count(b"\n", 0, error.start) + 1)


def read_text(text: str, shown: Path) -> Reading:
    """Read the text of a file."""
    source = SourceText(shown, tuple(re.split(r"\r\n|\n|\r", text)))
    abyss = _ABYSS.search(text)
    if abyss is not None:
        line, column = text.count("\n", 0, abyss.start()) + 1, abyss.start() - text.rfind("\n", 0, abyss.start())
        problem = Place(source, line, column).problem("bad-yaml", f"nested deeper than {DEEPEST} levels")
        return Reading(source, None, (problem,))
    builder = _Builder(source)
    try:
        tree = builder.build(YAML(typ="rt", pure=True).parse(text))
    except _Stop as stop:
        return Reading(source, None, (*builder.problems, stop.problem))
    except _FOREIGN_FAILURES as error:
        return Reading(source, None, (*builder.problems, _syntax_problem(source, text, error)))
    return Reading(source, tree, tuple(builder.problems))


def _unreadable(shown: Path, message: str, line: int = 1) -> Reading:
    return Reading(SourceText(shown, ()), None, (Problem(shown, line, 1, "unreadable-file", message),))


def _syntax_problem(source: SourceText, text: str, error: BaseException) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    said = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "").strip()
    position = getattr(error, "position", None)
    line, column = 1, 1
    if mark is not None:
        line, column = mark.line + 1, mark.column + 1
    elif isinstance(position, int):
        line, column = text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)
    place = Place(source, line, column)
    hint = 'inside { } and [ ] a variable needs quotes: "${NAME}"' if "${" in place.text else ""
    return place.problem("bad-yaml", f"not valid YAML: {said}" if said else "not valid YAML", hint)


class _Stop(Exception):  # noqa: N818 - it ends the reading of one file and never leaves this module
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class _Built:
    """A subtree with what it weighs once its aliases are written out."""

    tree: Tree
    values: int = 1
    depth: int = 0


@dataclass(slots=True)
class _Builder:
    """Events to a tree, with the limits that keep a small file from becoming a large one."""

    source: SourceText
    problems: list[Problem] = field(default_factory=list)
    anchors: dict[str, _Built] = field(default_factory=dict)
    aliases: int = 0

    def build(self, events: Iterator[Any]) -> Fields | None:
        start = Place(self.source, 1, 1)
        tree: Tree | None = None
        for event in events:
            if isinstance(event, DocumentStartEvent):
                if event.version not in (None, (1, 2)):
                    raise _Stop(
                        self._place(event).problem("bad-yaml", "only YAML 1.2 is read", "take the %YAML line out")
                    )
                if tree is not None:
                    raise _Stop(
                        self._place(event).problem(
                            "bad-yaml", "a file holds one pipeline", "make this a file of its own"
                        )
                    )
                tree = self._node(next(events), events, 0).tree
            elif isinstance(event, StreamEndEvent):
                break
        if tree is None or (isinstance(tree, Scalar) and tree.value is None):
            raise _Stop(start.problem("bad-yaml", "the file is empty", "begin with `name:` and `sources:`"))
        if not isinstance(tree, Fields):
            raise _Stop(tree.place.problem("bad-value", "a pipeline file is a mapping of keys", "begin with `name:`"))
        return tree

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> _Built:
        if depth > DEEPEST:
            raise _Stop(self._place(event).problem("bad-yaml", f"nested deeper than {DEEPEST} levels"))
        if isinstance(event, AliasEvent):
            return self._alias(event, depth)
        if getattr(event, "tag", None) is not None:
            self.problems.append(self._place(event).problem("bad-yaml", "tags are not accepted", "take the ! word out"))
        if isinstance(event, MappingStartEvent):
            built = self._mapping(event, events, depth)
        elif isinstance(event, SequenceStartEvent):
            built = self._sequence(event, events, depth)
        else:
            built = _Built(self._scalar(event))
        if event.anchor is not None:
            self.anchors[event.anchor] = built
        return built

    def _alias(self, event: AliasEvent, depth: int) -> _Built:
        self.aliases += 1
        built = self.anchors.get(event.anchor)
        if built is None:
            raise _Stop(
                self._place(event).problem("bad-yaml", "no anchor of this name stands before it", "define it with &")
            )
        if self.aliases > MOST_ALIASES:
            raise _Stop(self._place(event).problem("bad-yaml", f"more than {MOST_ALIASES} aliases"))
        if depth + built.depth > DEEPEST:
            raise _Stop(self._place(event).problem("bad-yaml", f"nested deeper than {DEEPEST} levels"))
        return built

    def _mapping(self, event: MappingStartEvent, events: Iterator[Any], depth: int) -> _Built:
        entries: dict[str, Entry] = {}
        values, deepest = 1, 0
        for key in events:
            if isinstance(key, MappingEndEvent):
                break
            if not isinstance(key, ScalarEvent):
                raise _Stop(self._place(key).problem("bad-yaml", "a key must be a plain text"))
            place = self._place(key)
            built = self._node(next(events), events, depth + 1)
            values, deepest = self._weigh(place, values, deepest, built)
            self._refuse_control(key, place)
            if self._is_new(key, place, entries):
                entries[key.value] = Entry(place, built.tree)
        first = next(iter(entries.values()), None)
        return _Built(Fields(first.place if first else self._place(event), entries), values, deepest + 1)

    def _sequence(self, event: SequenceStartEvent, events: Iterator[Any], depth: int) -> _Built:
        items: list[Tree] = []
        values, deepest = 1, 0
        for item in events:
            if isinstance(item, SequenceEndEvent):
                break
            built = self._node(item, events, depth + 1)
            values, deepest = self._weigh(self._place(item), values, deepest, built)
            items.append(built.tree)
        return _Built(Items(self._place(event), tuple(items)), values, deepest + 1)

    def _weigh(self, place: Place, values: int, deepest: int, built: _Built) -> tuple[int, int]:
        if values + built.values > MOST_VALUES:
            raise _Stop(place.problem("bad-yaml", f"more than {MOST_VALUES} values, aliases written out"))
        return values + built.values, max(deepest, built.depth)

    def _is_new(self, key: ScalarEvent, place: Place, entries: dict[str, Entry]) -> bool:
        if key.value == "<<" and key.style is None:
            hint = "write the keys out, or put them into `defaults:`"
            self.problems.append(place.problem("bad-yaml", "merge keys (<<) are not accepted", hint))
            return False
        first = entries.get(key.value)
        if first is not None:
            message = f'key "{key.value}" stands twice, first in line {first.place.line}'
            self.problems.append(place.problem("duplicate-key", message, "delete one of the two"))
        return first is None

    def _scalar(self, event: ScalarEvent) -> Scalar:
        place = self._place(event)
        is_plain = event.style is None
        self._refuse_control(event, place)
        return Scalar(resolve(event.value) if is_plain else event.value, place, is_plain)

    def _refuse_control(self, event: ScalarEvent, place: Place) -> None:
        if _CONTROL.search(event.value):
            self.problems.append(
                place.problem("bad-value", "a text holds a character that cannot be printed", "take it out")
            )

    def _place(self, event: Any) -> Place:
        start, end = event.start_mark, event.end_mark
        line = self.source.lines[start.line] if start.line < len(self.source.lines) else ""
        if isinstance(event, MappingStartEvent | SequenceStartEvent):
            return Place(self.source, start.line + 1, start.column + 1)
        width = (end.column if end.line == start.line else len(line)) - start.column
        return Place(self.source, start.line + 1, start.column + 1, max(0, width))


def resolve(text: str) -> bool | int | float | str | None:
    """An unquoted scalar by YAML 1.2's core schema: `yes` and `010` are a text and ten, a date is a text.

    >>> resolve("on"), resolve("010"), resolve("true")
    ('on', 10, True)
    """
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _SPECIAL.fullmatch(text):
        return float(text.replace(".", ""))
    return text
