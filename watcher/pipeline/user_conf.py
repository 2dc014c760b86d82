"""What a pipeline may put into a run's conf: JSON that Airflow takes, keeps and gives back unchanged."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Final

from watcher.detection import Json

RESERVED: Final = "watcher"
"""The one key of a conf that is ours."""

USER_CONF_LIMIT: Final = 32 * 1024
"""Bytes of JSON. The other half of a conf is for our own key."""

_DEPTH: Final = 32
_LARGEST: Final = 2**53
_LARGEST_KEPT: Final = 2**63


def check_user_conf(conf: object) -> list[str]:
    """What is wrong with a `conf:` block, one sentence for each place; empty when it may be sent."""
    if not isinstance(conf, Mapping):
        return ["conf must be a mapping"]
    problems = list(_walk(conf, "conf", 1))
    if RESERVED in conf:
        problems.append(f'conf: the key "{RESERVED}" is reserved for the batch')
    if not problems and encoded_size(plain(conf)) > USER_CONF_LIMIT:
        problems.append(f"conf is larger than {USER_CONF_LIMIT // 1024} KiB of JSON")
    return problems


def encoded_size(value: Json) -> int:
    """Bytes of the longest usual form of this JSON: every character beyond ASCII escaped, spaces after separators."""
    return len(json.dumps(value, allow_nan=False))


def plain(value: object, depth: int = _DEPTH) -> Json:
    """JSON of the same meaning that any reader takes.

    What JSON cannot hold becomes text: NaN, infinities, integers beyond 64 bits. NUL and lone surrogates become U+FFFD;
    what is nested deeper than `depth` becomes null.
    """
    match value:
        case None | bool():
            return value
        case int():
            return int(value) if -_LARGEST_KEPT <= value < _LARGEST_KEPT else str(value)
        case float():
            return float(value) if math.isfinite(value) else str(value)
        case Mapping() if depth > 0:
            return {_text(str(key)): plain(item, depth - 1) for key, item in value.items()}
        case list() | tuple() if depth > 0:
            return [plain(item, depth - 1) for item in value]
        case Mapping() | list() | tuple():
            return None
    return _text(str(value))


def _text(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")


def _walk(value: object, place: str, depth: int) -> Iterator[str]:
    match value:
        case None | bool():
            return
        case int():
            if abs(value) > _LARGEST:
                yield f"{place}: {_short(value)} is beyond ±2^53, where JSON loses digits; write it as text"
        case float():
            if not math.isfinite(value):
                yield f"{place}: {value} is not JSON"
        case str():
            yield from _check_text(value, place)
        case Mapping() | list() | tuple():
            yield from _walk_inside(value, place, depth)
        case _:
            yield f"{place}: a {type(value).__name__} is not JSON; write it as text, in quotes"


def _walk_inside(
    value: Mapping[object, object] | list[object] | tuple[object, ...], place: str, depth: int
) -> Iterator[str]:
    if value and depth > _DEPTH:
        yield f"{place}: nested deeper than {_DEPTH} levels"
        return
    if not isinstance(value, Mapping):
        for index, item in enumerate(value):
            yield from _walk(item, f"{place}[{index}]", depth + 1)
        return
    for key, item in value.items():
        if not isinstance(key, str):
            yield f"{place}: the key {_short(key)} is not text; put it in quotes"
            continue
        inside = f"{place}.{_short(key)}"
        yield from _check_text(key, inside)
        yield from _walk(item, inside, depth + 1)


def _check_text(text: str, place: str) -> Iterator[str]:
    if "\0" in text:
        yield f"{place}: text with a NUL character"
    if any("\ud800" <= character <= "\udfff" for character in text):
        yield f"{place}: text with half a surrogate pair"


def _short(value: object) -> str:
    if isinstance(value, int) and value.bit_length() > 128:
        return "an integer"
    text = str(value).encode("unicode_escape").decode("ascii")
    return text if len(text) <= 40 else f"{text[:39]}…"
