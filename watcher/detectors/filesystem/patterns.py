"""Globs over relative paths, compiled once; a match takes time linear in the path for every part of the pattern.

`*`, `?` and `[a-z]`, `[!a-z]` stay inside one segment, `**` as a whole segment stands for any number of segments, none included.
There are no braces and no escapes: `[*]` is a literal star. Upper and lower case differ.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_ANY_DEPTH: Final = "**"
Segment = re.Pattern[str]


class Glob:
    """One pattern over a whole relative path, such as `**/*.csv`."""

    def __init__(self, pattern: str) -> None:
        names = [name for name in pattern.split("/") if name not in {"", "."}]
        self._segments = [None if name == _ANY_DEPTH else re.compile(translate(name)) for name in names]
        self.depth = None if _ANY_DEPTH in names else len(names)
        """How many segments a match has, None for any number."""

    def matches(self, path: str) -> bool:
        """Whether the whole of `path`, relative and with `/` between its segments, fits."""
        if len(self._segments) == 2 and self._segments[0] is None and self._segments[1] is not None:
            return (
                self._segments[1].fullmatch(path, path.rfind("/") + 1) is not None
            )  # `**/*.csv`, by far the most common
        return _matches(self._segments, path.split("/"))


class Patterns:
    """What of a folder is wanted: `pattern` against the relative path, minus all that `ignore` names.

    An entry of `ignore` without a slash is held against every segment of the path, one with a slash against the path from
    the root on; an ignored folder is ignored with all that is in it.
    """

    def __init__(self, pattern: str, ignore: Sequence[str]) -> None:
        self._wanted = Glob(pattern)
        names = [translate(name.rstrip("/")) for name in ignore if "/" not in name.rstrip("/")]
        self._names = re.compile("|".join(f"(?:{name})" for name in names)) if names else None
        self._paths = tuple(Glob(path) for path in ignore if "/" in path.rstrip("/"))

    @property
    def depth(self) -> int | None:
        """How deep a wanted file can lie: 1 is the root itself, None is any depth."""
        return self._wanted.depth

    def wants(self, path: str) -> bool:
        """Whether a file fits the pattern; the caller has asked `ignores` about it and every folder above."""
        return self._wanted.matches(path)

    def ignores(self, path: str, name: str) -> bool:
        """Whether a file or folder is ignored by itself; `name` is the last segment of `path`."""
        if self._names is not None and self._names.fullmatch(name):
            return True
        return any(glob.matches(path) for glob in self._paths)

    def covers(self, path: str) -> bool:
        """Whether a file at `path` would be found by a scan, the folders above it considered too."""
        segments = path.split("/")
        above = ("/".join(segments[: count + 1]) for count in range(len(segments)))
        return self.wants(path) and not any(
            self.ignores(folder, name) for folder, name in zip(above, segments, strict=True)
        )


def translate(name: str) -> str:
    """The regular expression of one segment's pattern.

    Each fixed piece after a star is taken at its first place and never tried again (an atomic group). That finds every match,
    because a later place never leaves more room, and it keeps `*a*a*a*b` from taking time that grows with its stars.
    """
    pieces = [_fixed(piece) for piece in re.split(r"\*+", name)] if "[" not in name else _split(name)
    first, *rest = pieces
    if not rest:
        return f"(?s:{first})"
    *middle, last = rest
    return f"(?s:{first}{''.join(f'(?>.*?{piece})' for piece in middle if piece)}.*{last})"


def _split(name: str) -> list[str]:
    """The pieces between the stars, where a star inside brackets is no star."""
    pieces, at = [""], 0
    while at < len(name):
        end = _bracket_end(name, at) if name[at] == "[" else None
        if end is not None:
            pieces[-1] += _bracket(name[at + 1 : end])
            at = end
        elif name[at] == "*":
            pieces.append("")
        else:
            pieces[-1] += _fixed(name[at])
        at += 1
    return pieces


def _fixed(piece: str) -> str:
    return "".join("." if letter == "?" else re.escape(letter) for letter in piece)


def _bracket_end(name: str, start: int) -> int | None:
    """Where the class that opens at `start` closes; a bracket that never closes is a letter."""
    first = start + 2 if name[start + 1 : start + 2] == "!" else start + 1
    end = name.find("]", first + 1)  # a closing bracket in first place belongs to the class
    return None if end < 0 else end


def _bracket(inside: str) -> str:
    negated, letters = inside.startswith("!"), inside.removeprefix("!")
    parts, at = [], 0
    while at < len(letters):
        if letters[at + 1 : at + 2] == "-" and at + 2 < len(letters):
            low, high = letters[at], letters[at + 2]
            if low <= high:  # an empty range matches nothing
                parts.append(f"{re.escape(low)}-{re.escape(high)}")
            at += 3
        else:
            parts.append(re.escape(letters[at]))
            at += 1
    if not parts:
        return "." if negated else "(?!)"
    return f"[{'^' if negated else ''}{''.join(parts)}]"


def _matches(segments: Sequence[Segment | None], names: Sequence[str]) -> bool:
    """Two fingers; after a `**` only the latest one is ever tried again, which is enough and bounds the work."""
    at = name = 0
    back: tuple[int, int] | None = None
    while name < len(names):
        segment = segments[at] if at < len(segments) else None
        if at < len(segments) and segment is None:
            back = (at + 1, name)
            at += 1
        elif segment is not None and segment.fullmatch(names[name]):
            at, name = at + 1, name + 1
        elif back is not None:
            back = (back[0], back[1] + 1)
            at, name = back
        else:
            return False
    return all(segment is None for segment in segments[at:])
