"""The values of a pipeline file that are more than text: durations, sizes, counts, ids, calendars."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final

from croniter import croniter
from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, ValidationInfo, WithJsonSchema

from watcher.pipeline.base import FromVariable, Like, refusal
from watcher.pipeline.secrets import holds_password

FROM_FILE: Final = "file"
"""The validation context of the loader: a bare number of a file needs a unit, an int of a program is bytes."""
_VARIABLE_SCHEMA: Final = {"type": "string", "pattern": r"^\$\{.+\}$"}
_UNITS: Final[Mapping[str, timedelta]] = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_UNIT_WORDS: Final = {"sec": "s", "second": "s", "min": "m", "minute": "m", "hr": "h", "hour": "h", "day": "d"}
_LONGEST: Final = timedelta(days=3650)
_SIZES: Final[Mapping[str, int]] = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
_LARGEST: Final = 2**53
_NUMBER_UNIT: Final = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,6})?) ?([A-Za-z]{0,8})", re.ASCII)


def parse_duration(value: Any) -> timedelta:
    """`500ms`, `30s`, `10m`, `6h` or `7d` -> timedelta; a timedelta passes. Raises refusals `no-unit`, `bad-value`.

    >>> parse_duration("10m")
    datetime.timedelta(seconds=600)
    """
    if isinstance(value, timedelta):
        return value
    number, unit = _split(value, "a duration such as 500ms, 30s, 10m, 6h or 7d")
    if not unit:
        raise refusal("a duration needs a unit: ms, s, m, h or d", code="no-unit", hint=f'did you mean "{number}s"?')
    if unit not in _UNITS or "." in number:
        raise refusal("must be a duration such as 500ms, 30s, 10m, 6h or 7d", hint=_duration_hint(number, unit))
    if int(number) * _UNITS[unit].total_seconds() > _LONGEST.total_seconds():
        raise refusal("a duration is at most 3650d")
    return int(number) * _UNITS[unit]


def format_duration(value: timedelta) -> str:
    """The shortest spelling that parse_duration reads back.

    >>> format_duration(timedelta(minutes=90))
    '90m'
    """
    for unit in ("d", "h", "m", "s"):
        if value and value % _UNITS[unit] == timedelta(0):
            return f"{value // _UNITS[unit]}{unit}"
    return f"{value // _UNITS['ms']}ms" if value else "0s"


def parse_size(value: Any) -> int:
    """`64KiB`, `50MB`, `1GB` -> bytes. Raises `no-unit` and `bad-value`.

    >>> parse_size("64KiB")
    65536
    """
    number, unit = _split(value, "a size such as 64KiB, 50MB or 1GB")
    if not unit:
        raise refusal(
            "a size needs a unit: B, KB, MB, GB, TB, KiB, MiB, GiB, TiB", code="no-unit", hint=_size_hint(number)
        )
    spelled = next((known for known in _SIZES if known.lower() == unit.lower()), None)
    if spelled is None or "." in number:
        near = f'did you mean "{round(float(number))}{unit.upper()}B"?' if unit.upper() in ("K", "M", "G", "T") else ""
        raise refusal("must be a size such as 64KiB, 50MB or 1GB", hint=near)
    if int(number) * _SIZES[spelled] > _LARGEST:
        raise refusal("a size is at most 8192TiB")
    return int(number) * _SIZES[spelled]


def format_size(value: int) -> str:
    """The shortest spelling that parse_size reads back exactly.

    >>> format_size(50_000_000)
    '50MB'
    """
    for unit in ("TiB", "TB", "GiB", "GB", "MiB", "MB", "KiB", "KB"):
        if value and value % _SIZES[unit] == 0:
            return f"{value // _SIZES[unit]}{unit}"
    return f"{value}B"


def _split(value: Any, what: str) -> tuple[str, str]:
    text = str(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else ""
    found = _NUMBER_UNIT.fullmatch(text.strip())
    if not found:
        raise refusal(f"must be {what}")
    return found[1], found[2]


def _duration_hint(number: str, unit: str) -> str:
    word = unit.lower()
    known = word if word in _UNITS else _UNIT_WORDS.get(word.removesuffix("s"), "")
    if not known:
        return ""
    exact = round(float(number) * _UNITS[known].total_seconds() * 1000)
    return f'did you mean "{format_duration(timedelta(milliseconds=exact))}"?'


def _size_hint(number: str) -> str:
    likely = format_size(int(float(number))) if float(number) >= 1_000_000 else f"{round(float(number))}MB"
    return f'did you mean "{likely}"?'


def _at_least(shortest: timedelta) -> Callable[[timedelta], timedelta]:
    def check(value: timedelta) -> timedelta:
        if value < shortest:
            raise refusal(f"must be at least {format_duration(shortest)}")
        return value

    return check


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, FromVariable) and re.fullmatch(r"[0-9]{1,15}", value) else value


def _real(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refusal("must be a number")
    return value


def _flag(value: Any) -> Any:
    return {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, FromVariable) else value


def _size(value: Any, info: ValidationInfo) -> Any:
    return value if type(value) is int and info.context != FROM_FILE else parse_size(value)


def parse_cron(value: str) -> str:
    """Five fields or `@daily` and its like, tried once: a date that never comes is refused as well."""
    text = " ".join(value.split())
    if not text.startswith("@") and len(text.split(" ")) != 5:
        raise refusal("a schedule has five fields: minute hour day month weekday", hint='for example "0 2 * * *"')
    if re.search(r"(?<![A-Za-z])[HRhr](?![A-Za-z])", text):
        raise refusal("a schedule cannot hold H or R, which mean another time in each program", hint="write a number")
    try:
        croniter(text, datetime(2026, 1, 1, tzinfo=UTC)).get_next()
    except (ValueError, LookupError, TypeError, ArithmeticError, AttributeError) as error:
        raise refusal(
            "no calendar knows this schedule, or its day never comes", hint='for example "0 2 * * *"'
        ) from error
    return text


def _schedule(value: Any) -> Any:
    return None if isinstance(value, str) and value.strip().lower() in ("none", "null", "") else value


def _start_date(value: Any) -> Any:
    if isinstance(value, date):
        return value
    try:
        if not isinstance(value, str):
            raise TypeError
        if len(value) == 10:
            return date.fromisoformat(value)
        when = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise refusal("must be a date such as 2026-01-31, or a date with time such as 2026-01-31T06:00:00Z") from error
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _no_password(value: str) -> str:
    if holds_password(value):
        raise refusal("a password may not stand in a URL here", code="literal-secret", hint="name a connection instead")
    return value


_DURATION_SCHEMA: Final = {
    "type": "string",
    "pattern": r"^([0-9]+(ms|s|m|h|d)|.*\$\{.+\}.*)$",
    "examples": ["30s", "10m"],
}
_SIZE_SCHEMA: Final = {
    "type": "string",
    "pattern": r"^([0-9]+ ?([KMGT]i?)?B|.*\$\{.+\}.*)$",
    "examples": ["50MB", "64KiB"],
}
_ID: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_ID_WORDS: Final = "made of letters, digits, _, . and -, the first a letter, a digit or _"

Duration = Annotated[
    timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration), WithJsonSchema(_DURATION_SCHEMA)
]
Positive = Annotated[Duration, AfterValidator(_at_least(timedelta(milliseconds=1)))]
"""A duration longer than nothing."""
Interval = Annotated[Duration, AfterValidator(_at_least(timedelta(seconds=1)))]
"""A duration of a second or more."""
Size = Annotated[int, Field(ge=1), BeforeValidator(_size), PlainSerializer(format_size), WithJsonSchema(_SIZE_SCHEMA)]
Count = Annotated[
    int,
    Field(ge=1, le=2**53),
    BeforeValidator(_number),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, _VARIABLE_SCHEMA]}),
]
CountOrNone = Annotated[
    int,
    Field(ge=0, le=2**53),
    BeforeValidator(_number),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, _VARIABLE_SCHEMA]}),
]
"""A count that may be zero."""
Flag = Annotated[bool, BeforeValidator(_flag), WithJsonSchema({"anyOf": [{"type": "boolean"}, _VARIABLE_SCHEMA]})]
Number = Annotated[int | float, BeforeValidator(_real)]
Id = Annotated[str, Like(_ID, _ID_WORDS, 200)]
"""A name that fits into a DAG id and, behind `ingest_` and its like, into a task id."""
DagId = Annotated[str, Like(r"[\w.-]+", "made of letters, digits, _, . and -", 250)]
ConnectionId = Annotated[
    str, AfterValidator(_no_password), Like(_ID, "the id of a connection: letters, digits, _, . and -", 200)
]
Text = Annotated[str, Field(min_length=1, max_length=10_000)]
Name = Annotated[str, Field(min_length=1, max_length=500)]
"""A name of somebody else's thing: a column, a table, a folder."""
Address = Annotated[str, Field(min_length=1, max_length=4_000), AfterValidator(_no_password)]
"""A path or URL without credentials."""
Cron = Annotated[str | None, BeforeValidator(_schedule), AfterValidator(lambda text: text and parse_cron(text))]
StartDate = Annotated[
    date | datetime, BeforeValidator(_start_date), WithJsonSchema({"type": "string", "examples": ["2026-01-31"]})
]
