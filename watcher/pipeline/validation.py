"""A merged tree to a Pipeline, with every problem in one pass: what is refused is mended or left out, and the rest judged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import BaseModel, Field, ValidationError, model_validator

from watcher.pipeline.base import Strict, refusal
from watcher.pipeline.model import Pipeline
from watcher.pipeline.problems import Problem
from watcher.pipeline.refusals import Refusal, Repair, explain, nearest
from watcher.pipeline.sources import Freshness, Ingest
from watcher.pipeline.tree import Fields, Place, Scalar, Tree, Way, find, plain, renamed, with_value, without
from watcher.pipeline.values import FROM_FILE, ConnectionId
from watcher.pipeline.watching import all_watch_keys

_ROUNDS: Final = 4
_MOST: Final = 100
_Model = TypeVar("_Model", bound=BaseModel)


class Defaults(Strict):
    """The `defaults:` block; `retries` has its own place before this is looked at."""

    watch: dict[str, Any] = Field(default_factory=dict)
    connection: ConnectionId | None = None
    freshness: Freshness | None = None
    ingest: Ingest | None = None

    @model_validator(mode="after")
    def _watch_keys(self) -> Defaults:
        known = all_watch_keys()
        for key in self.watch.keys() - known:
            hint = nearest(key, sorted(known))
            raise refusal(f'unknown key "{key}" in watch', code="unknown-key", hint=hint, at=("watch", key))
        return self


@dataclass(frozen=True, slots=True)
class Validated:
    """The problems, and what could be made of the file: a Pipeline that may lack what was refused, and its tree."""

    pipeline: Pipeline | None
    tree: Fields
    problems: tuple[Problem, ...]


def validate(tree: Fields, blanks: Iterable[Place] = ()) -> Validated:
    """Judge a resolved tree; nothing is said about `blanks`, whose value is not known."""
    unknown = frozenset(blanks)
    problems: list[Problem] = []
    mended: list[Way] = []
    for attempt in range(_ROUNDS):
        pipeline, refusals, untold = _attempt(Pipeline, tree)
        fresh = [refusal for refusal in refusals if not attempt or _below(refusal.way, mended)]
        problems += [each.problem for each in _told(fresh) if not _at_blank(each, tree, unknown)]
        if untold:
            message = f"{untold} more problems in this file are not shown"
            problems.append(tree.place.problem("bad-value", message, "mend the shown ones first"))
        if pipeline is not None or untold:
            return Validated(pipeline, tree, tuple(problems))
        mended = _after_repairs([refusal.repair for refusal in refusals])
        tree = _mended(tree, [refusal.repair for refusal in refusals])
    return Validated(None, tree, tuple(problems))


def validate_defaults(tree: Tree | None) -> tuple[Problem, ...]:
    """What is wrong in a `defaults:` block by itself."""
    if tree is None:
        return ()
    if not isinstance(tree, Fields):
        return (tree.place.problem("bad-value", "defaults must be a mapping of keys"),)
    return tuple(refusal.problem for refusal in _attempt(Defaults, tree)[1])


def _attempt(model: type[_Model], tree: Fields) -> tuple[_Model | None, list[Refusal], int]:
    """The model, or what was refused and how many refusals there are beyond that."""
    try:
        return model.model_validate(plain(tree), context=FROM_FILE), [], 0
    except ValidationError as error:
        told = error.errors(include_url=False)[:_MOST]
        return None, [explain(details, tree) for details in told], error.error_count() - len(told)


def _told(refusals: list[Refusal]) -> list[Refusal]:
    """Without the missing keys that a misspelled one explains."""
    found = {_target(refusal.repair) for refusal in refusals if refusal.repair.rename}
    return [refusal for refusal in refusals if refusal.problem.code != "missing-key" or refusal.way not in found]


def _target(repair: Repair) -> Way:
    return (*repair.way[:-1], repair.rename) if repair.rename else repair.way


def _after_repairs(repairs: list[Repair]) -> list[Way]:
    """The ways below which nothing was judged yet, as they are once list items have been taken out."""
    gone = [repair.way for repair in repairs if repair.way and not (repair.rename or repair.value)]
    mended = [
        repair.way[:-1] if repair.value else _target(repair) for repair in repairs if repair.rename or repair.value
    ]
    return [_shifted(way, gone) for way in mended]


def _shifted(way: Way, gone: list[Way]) -> Way:
    steps = list(way)
    for place, step in enumerate(way):
        if isinstance(step, int):
            before = {
                taken for taken in gone if taken[:-1] == way[:place] and isinstance(taken[-1], int) and taken[-1] < step
            }
            steps[place] = step - len(before)
    return tuple(steps)


def _below(way: Way, tops: list[Way]) -> bool:
    return any(way[: len(top)] == top for top in tops)


def _at_blank(refusal: Refusal, tree: Fields, blanks: frozenset[Place]) -> bool:
    return bool(blanks) and find(tree, refusal.way) in blanks


def _mended(tree: Fields, repairs: list[Repair]) -> Fields:
    """Last first, so that the places of earlier list items stay."""
    mended: Tree = tree
    for repair in sorted(repairs, key=lambda each: [str(step).zfill(9) for step in each.way], reverse=True):
        mended = _apply(mended, repair) if repair.way else mended
    return mended if isinstance(mended, Fields) else tree


def _apply(tree: Tree, repair: Repair) -> Tree:
    if repair.value is not None:
        return with_value(tree, repair.way, Scalar(repair.value, find(tree, repair.way)))
    if repair.rename is None:
        return without(tree, repair.way)
    above = tree
    for step in repair.way[:-1]:
        above = _step(above, step)
    if not isinstance(above, Fields):
        return tree
    changed = renamed(above, str(repair.way[-1]), repair.rename)
    return with_value(tree, repair.way[:-1], changed) if len(repair.way) > 1 else changed


def _step(tree: Tree, step: str | int) -> Tree:
    if isinstance(tree, Fields):
        inner = tree.get(str(step))
        return inner if inner is not None else tree
    if isinstance(tree, Scalar) or isinstance(step, str) or step >= len(tree.items):
        return tree
    return tree.items[step]
