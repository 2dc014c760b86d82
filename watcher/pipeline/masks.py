"""Source lines without the secrets that stand in them, so that a problem about one never shows it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeAlias

from watcher.pipeline.problems import Problem
from watcher.pipeline.secrets import is_secret_key
from watcher.pipeline.tree import Fields, Place, walk

_Span: TypeAlias = tuple[int, int]
_URL_PASSWORD: Final = re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]*(?=@)")
_REFERENCE: Final = re.compile(r"""["']?\$\{[A-Za-z0-9_]+\}["']?(?=\s*([,}#]|$))""")
_ASSIGNED: Final = re.compile(r"""(?<![\w.-])([\w.-]{1,100})["']?\s{0,9}:\s{1,99}(?=[^\s{])(?!["']?\$\{)([^,}\]]*)""")


def masked(problems: Iterable[Problem], trees: Sequence[Fields]) -> tuple[Problem, ...]:
    """The problems with every literal secret of their lines written as stars; columns stay as they are."""
    spans: dict[tuple[Path, int], list[_Span]] = {}
    found = list(problems)
    for place in _secret_places(trees):
        spans.setdefault((place.file.path, place.line), []).append((place.column - 1, place.column - 1 + place.width))
    for problem in found:
        if problem.code == "literal-secret" and not _REFERENCE.match(problem.text, problem.column - 1):
            span = (problem.column - 1, problem.column - 1 + problem.width)
            spans.setdefault((problem.path, problem.line), []).append(span)
    return tuple(replace(each, text=_starred(each, spans.get((each.path, each.line), []))) for each in found)


def _secret_places(trees: Sequence[Fields]) -> Iterator[Place]:
    """The texts under a secret's key; a reference is no secret."""
    for tree in trees:
        for way, scalar in walk(tree):
            keys = [step for step in way if isinstance(step, str)]
            literal = isinstance(scalar.value, str | int | float) and not str(scalar.value).startswith("${")
            if literal and any(is_secret_key(key) for key in keys) and keys[-1] != "file":
                yield scalar.place


def _starred(problem: Problem, spans: Sequence[_Span]) -> str:
    text = _URL_PASSWORD.sub(lambda found: "*" * len(found[0]), problem.text)
    for start, end in spans:
        text = text[:start] + "*" * len(text[start:end]) + text[end:]
    for found in _ASSIGNED.finditer(text):
        if is_secret_key(found[1]):
            alone = problem.code == "bad-yaml" or not re.search(r"[{\[]", text[: found.start()])
            end = len(text) if alone else found.end(2)
            text = text[: found.start(2)] + "*" * (end - found.start(2)) + text[end:]
    return text
