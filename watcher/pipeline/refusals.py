"""What pydantic refuses, as problems in words with the place and a way out; no value of a file is ever repeated."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from watcher.pipeline.base import FromVariable
from watcher.pipeline.layers import ALIASES, SOURCE_ALIASES
from watcher.pipeline.model import Pipeline
from watcher.pipeline.problems import Problem
from watcher.pipeline.sources import SOURCE_CLASSES
from watcher.pipeline.tree import Fields, Tree, Way, find, real_way
from watcher.pipeline.watching import METHODS, homes_of

_ITEMS: Final = {
    "sources": "a source",
    "transformations": "a transformation",
    "validations": "a validation",
    "snowflake": "a snowflake task",
    "any": "a branch",
    "all": "a branch",
}
_GENERAL: Final = "docs/pipeline.md says what fits"
_LAYERED: Final = ("defaults", "environments")
_SENTENCES: Final[Mapping[str, tuple[str, str]]] = {
    "int_type": ("must be a whole number", ""),
    "int_from_float": ("must be a whole number", ""),
    "string_type": ("must be a text", "put it in quotes"),
    "string_too_short": ("must not be empty", ""),
    "too_short": ("must not be empty", "name at least one"),
    "tuple_type": ("must be a list", "write [one, two], or - one below the other"),
    "list_type": ("must be a list", "write [one, two], or - one below the other"),
    "dict_type": ("must be a mapping of keys", "write key: value below it"),
    "model_type": ("must be a mapping of keys", "write key: value below it"),
    "model_attributes_type": ("must be a mapping of keys", "write key: value below it"),
    "is_instance_of": ("must be a mapping of keys", "write key: value below it"),
}
_BOUNDS: Final = {
    "greater_than_equal": ("must be at least", "ge"),
    "less_than_equal": ("must be at most", "le"),
    "string_too_long": ("has more characters than", "max_length"),
    "too_long": ("has more items than", "max_length"),
}


@dataclass(frozen=True, slots=True)
class Repair:
    """How to go on past a refused place: without it, under another key, or with another value."""

    way: Way
    rename: str | None = None
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """One problem, the way to it, and what to do so that the rest of the file can still be judged."""

    problem: Problem
    way: Way
    repair: Repair


def explain(error: ErrorDetails, tree: Fields) -> Refusal:
    """One of pydantic's errors about `plain(tree)`."""
    kind = error["type"]
    if kind == "extra_forbidden":
        return _unknown_key(error["loc"], tree)
    if kind == "missing":
        return _missing(error["loc"][:-1], str(error["loc"][-1]), tree)
    if kind == "union_tag_not_found":
        return _untagged(error, tree)
    if kind == "union_tag_invalid":
        way = (*error["loc"], str(error["ctx"]["discriminator"]).strip("'"))
        return _one_of(way, str(error["ctx"]["expected_tags"]), error["ctx"]["tag"], tree)
    if kind == "literal_error":
        return _one_of(error["loc"], str(error["ctx"]["expected"]), error["input"], tree)
    if kind == "refused":
        return _refused(error, tree)
    message, hint = _sentence(error)
    return _bad_value(error["loc"], message, hint, tree)


def nearest(word: object, known: list[str]) -> str:
    """`did you mean "..."?`, or nothing when no known word is near."""
    near = close(word, known)
    return f'did you mean "{near}"?' if near else ""


def close(word: object, known: list[str]) -> str | None:
    """The known word that looks most like this one."""
    text = str(word)[:80]
    exact = [name for name in known if name.lower() == text.lower().replace("-", "_")]
    found = exact or get_close_matches(text, known, 1, 0.6)
    return found[0] if found else None


def _unknown_key(loc: Way, tree: Fields) -> Refusal:
    way = real_way(tree, loc)
    key = str(loc[-1])
    place = find(tree, way, key=True)
    known = sorted(keys_at(loc[:-1]))
    near = close(key, known)
    wider = near or close(key, _relatives(tree, way))
    home = _home(tree, way, key)
    message, hint = home or (f'unknown key "{_short(key)}"{_inside(way)}', f'did you mean "{wider}"?' if wider else "")
    if not hint:
        hint = f"known here: {', '.join(known)}" if len(known) <= 8 else ""
    taken = near is None or home is not None or near in _LAYERED or _sibling(tree, way, near)
    return Refusal(place.problem("unknown-key", message, hint), way, Repair(way, None if taken else near))


def _sibling(tree: Tree, way: Way, key: str) -> bool:
    return len(real_way(tree, (*way[:-1], key))) == len(way)


def _home(tree: Fields, way: Way, key: str) -> tuple[str, str] | None:
    """Where a key that is no stranger belongs."""
    if way[:1] != ("sources",) or len(way) < 3:
        return None
    source = _at(tree, way[:2])
    kind = source.text("source_type") if isinstance(source, Fields) else None
    if way[2] == "watch" and len(way) == 4 and kind and isinstance(source, Fields):
        watch = source.fields("watch")
        homes = list(homes_of(key, kind))
        if homes and watch:
            return (
                f'key "{key}" does not go with method {watch.text("method")}',
                f"it belongs to method {' or '.join(homes)}",
            )
    if len(way) == 3:
        homes = [name for name, model in SOURCE_CLASSES.items() if key in model.model_fields]
        if homes:
            return f'key "{key}" does not go with source_type {kind}', f"it belongs to source_type {' or '.join(homes)}"
    return None


def _relatives(tree: Fields, way: Way) -> list[str]:
    """The keys of every method of a source_type: a misspelled key may be the one that would have chosen the method."""
    source = _at(tree, way[:2]) if way[:1] == ("sources",) and way[2:3] == ("watch",) else None
    kind = source.text("source_type") if isinstance(source, Fields) else None
    return sorted({key for model in METHODS.get(kind or "", {}).values() for key in model.model_fields})


def _untagged(error: ErrorDetails, tree: Fields) -> Refusal:
    """The key that tells a union's members apart is missing, or misspelled."""
    tag = str(error["ctx"]["discriminator"]).strip("'")
    way = real_way(tree, error["loc"])
    holder = _at(tree, way)
    spelled = close(tag, list(holder.entries)) if isinstance(holder, Fields) else None
    if spelled is None or spelled in keys_at(error["loc"]):
        return _missing(error["loc"], tag, tree)
    wrong = (*way, spelled)
    message, hint = f'unknown key "{_short(spelled)}"{_inside(wrong)}', f'did you mean "{tag}"?'
    return Refusal(find(tree, wrong, key=True).problem("unknown-key", message, hint), wrong, Repair(wrong, rename=tag))


def _missing(way: Way, key: str, tree: Fields) -> Refusal:
    real = real_way(tree, way)
    message = f"{key} is missing{_inside((*real, key))}"
    problem = find(tree, real, key=True).problem("missing-key", message, f"add `{key}:`")
    return Refusal(problem, (*real, key), Repair(real))


def _one_of(loc: Way, expected: str, given: Any, tree: Fields) -> Refusal:
    way = real_way(tree, loc)
    allowed = re.findall(r"'([^']*)'", expected) or re.findall(r"[\w.-]+", expected.replace(" or ", " "))
    if way[-1:] == ("method",):
        allowed = ["auto", *(word for word in allowed if word != "auto")]
    near = close(given, allowed) if isinstance(given, str) and not isinstance(given, FromVariable) else None
    listed, hint = (f"one of: {', '.join(allowed)}", "take one that the message lists")
    if len(allowed) == 1:
        listed, hint = allowed[0], f"write {allowed[0]}"
    message = f"{_subject(way)} must be {listed}"
    problem = find(tree, way).problem("bad-value", message, f'did you mean "{near}"?' if near else hint)
    return Refusal(problem, way, Repair(way, value=near) if near else Repair(_droppable(way)))


def _droppable(way: Way) -> Way:
    """Without its kind nothing can be said about a source."""
    return way[:2] if way[-1:] == ("source_type",) else way


def _refused(error: ErrorDetails, tree: Fields) -> Refusal:
    said = error["ctx"]
    way = real_way(tree, (*error["loc"], *said["at"]))
    message = str(said["message"])
    if message.startswith("must"):
        message = f"{_subject(way)} {message}"
    hint = str(said["hint"]) or (_GENERAL if said["code"] == "bad-value" else "")
    place = find(tree, way, key=said["code"] == "unknown-key")
    return Refusal(place.problem(said["code"], message, hint), way, Repair(way))


def _bad_value(loc: Way, message: str, hint: str, tree: Fields) -> Refusal:
    way = real_way(tree, loc)
    problem = find(tree, way).problem("bad-value", f"{_subject(way)} {message}", hint or _GENERAL)
    return Refusal(problem, way, Repair(way))


def _sentence(error: ErrorDetails) -> tuple[str, str]:
    kind = error["type"]
    if kind == "bool_type":
        word = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
        meant = word.get(str(error["input"]).lower(), "") if isinstance(error["input"], str) else ""
        return "must be true or false", f'did you mean "{meant}"?' if meant else ""
    if kind in _SENTENCES:
        message, hint = _SENTENCES[kind]
        return message, hint if kind != "string_type" or isinstance(error["input"], int | float) else ""
    if kind in _BOUNDS:
        words, name = _BOUNDS[kind]
        return f"{words} {error['ctx'][name]}", ""
    return "does not fit here", ""


def _subject(way: Way) -> str:
    named = [step for step in way if isinstance(step, str)]
    if not named:
        return "the file"
    return f"an item of {named[-1]}" if isinstance(way[-1], int) else named[-1]


def _inside(way: Way) -> str:
    """Where a key stands, in words; `way` ends with the key."""
    above = way[:-1]
    if not above:
        return " at the top"
    if isinstance(above[-1], int):
        return f" in {_ITEMS.get(str(above[-2]), f'an item of {above[-2]}')}"
    return f" in {above[-1]}"


def _short(key: str) -> str:
    return key if len(key) <= 60 else f"{key[:59]}…"


def _at(tree: Tree, way: Way) -> Tree:
    for step in way:
        if isinstance(tree, Fields):
            tree = tree.entries[str(step)].value
        elif not isinstance(step, str) and hasattr(tree, "items"):
            tree = tree.items[step]
    return tree


def keys_at(loc: Way) -> frozenset[str]:
    """The keys that a mapping at this place of a file may have."""
    models: list[type[BaseModel]] = [Pipeline]
    for step in loc:
        if isinstance(step, int):
            continue
        inner = [found for model in models for found in _models_below(model, step)]
        models = inner or [model for model in models if step in _tags(model)] or models
    keys = {field.alias or name for model in models for name, field in model.model_fields.items()}
    if Pipeline in models:
        keys |= {*_LAYERED, *ALIASES}
    return frozenset(keys | set(SOURCE_ALIASES) if "endpoint" in keys and "params" in keys else keys)


def _models_below(model: type[BaseModel], key: str) -> Iterator[type[BaseModel]]:
    for name, field in model.model_fields.items():
        if key == (field.alias or name):
            yield from _models_in(field.annotation)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _tags(model: type[BaseModel]) -> set[str]:
    tagged = (model.model_fields.get(name) for name in ("source_type", "method"))
    return {tag for field in tagged if field is not None for tag in get_args(field.annotation)}
