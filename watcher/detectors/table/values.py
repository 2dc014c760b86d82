"""Values of a column that only grows: how they are kept as JSON, compared, ranked, and stepped back by a duration."""

from __future__ import annotations

import math
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Literal, TypeAlias

import sqlalchemy as sa

from watcher.detection import Json
from watcher.errors import SourceError

Value: TypeAlias = "datetime | date | int | float | Decimal | str | uuid.UUID"
Kind = Literal["aware", "naive", "date", "iso", "int", "float", "decimal", "text", "uuid"]

TIMES: frozenset[Kind] = frozenset({"aware", "naive", "date", "iso"})
NUMBERS: frozenset[Kind] = frozenset({"int", "float", "decimal"})
LAST_RANK = 1e300
"""The rank of an entry that stays for ever."""

_SECOND = timedelta(seconds=1)
_ISO = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)(?:(?P<separator>[T ])(?P<clock>\d\d:\d\d(?::\d\d)?)(?P<fraction>\.\d+)?)?"
    r"(?P<zone>Z|[+-]\d\d(?::?\d\d)?)?"
)


@dataclass(frozen=True, slots=True)
class _Iso:
    """A text that is a time: the time in its own zone, and how it is written."""

    local: datetime
    zone: timezone
    separator: str

    @property
    def utc(self) -> datetime:
        return self.local.replace(tzinfo=self.zone).astimezone(UTC)


def kind_of(value: object) -> Kind:
    """What a column holds, by a value of it. Raises SourceError `source-schema` for what has no usable order."""
    if isinstance(value, str):
        return "text" if _parse(value) is None else "iso"
    if isinstance(value, datetime):
        return "aware" if value.tzinfo else "naive"
    kinds: tuple[tuple[type, Kind], ...] = (
        (date, "date"),
        (int, "int"),
        (float, "float"),
        (Decimal, "decimal"),
        (uuid.UUID, "uuid"),
    )
    for python, kind in kinds:
        if isinstance(value, python) and not isinstance(value, bool):
            return kind
    raise SourceError(f"a column of {type(value).__name__} cannot be a cursor", code="source-schema")


def encode(value: Any) -> Json:
    """JSON for a cursor. Texts of one format compare like the values; numbers stay numbers where JSON can hold them."""
    if isinstance(value, datetime):
        form = "%Y-%m-%dT%H:%M:%S.%f"
        # strftime does not pad years below 1000
        return (
            f"{value.astimezone(UTC).strftime(form).rjust(26, '0')}Z"
            if value.tzinfo
            else value.strftime(form).rjust(26, "0")
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise SourceError(f"the column holds {value}, which has no place in an order", code="source-answer")
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise SourceError(f"the column holds {value}, which has no place in an order", code="source-answer")
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, str | int | float) else str(value)


def decode(kind: Kind, value: Json) -> Any:
    """The value that `encode` wrote for a column of this kind; None stays None."""
    if not isinstance(value, str):
        return value
    if kind == "aware":
        return datetime.fromisoformat(value)
    if kind == "naive":
        return datetime.fromisoformat(value)
    if kind == "date":
        return date.fromisoformat(value)
    if kind == "decimal":
        return Decimal(value)
    return uuid.UUID(value) if kind == "uuid" else value


def bound(value: Any) -> sa.BindParameter[Any]:
    """The value as a typed parameter: never part of the SQL text."""
    kind = kind_of(value)
    types: dict[Kind, sa.types.TypeEngine[Any]] = {
        "aware": sa.DateTime(timezone=True),
        "naive": sa.DateTime(),
        "date": sa.Date(),
        "int": sa.BigInteger(),
        "float": sa.Double(),
        "decimal": sa.Numeric(),
        "uuid": sa.Uuid(),
    }
    return sa.literal(value, types.get(kind, sa.String()))


def as_time(value: Any) -> datetime | None:
    """The value as UTC, a time without zone being taken for UTC; None when it is no time."""
    if isinstance(value, str):
        parsed = _parse(value)
        return parsed.utc if parsed else None
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime.combine(value, time(), UTC) if isinstance(value, date) else None


def rank(kind: Kind, value: Any, at: float) -> float:
    """A number that orders entries as the column orders their values; `at` (seconds, when it was seen) where none exists."""
    if isinstance(value, str) and kind == "iso":
        parsed = _parse(value)
        return LAST_RANK if parsed is None else _text_rank(parsed)
    if kind in TIMES:
        moment = as_time(value)
        return LAST_RANK if moment is None else moment.timestamp()
    if kind in NUMBERS and isinstance(value, int | float | Decimal):
        return float(value)
    return at


def _text_rank(parsed: _Iso) -> float:
    # as the texts sort, not as the times do: within a day "2026-11-24" < "2026-11-24 23:59" < "2026-11-24T00:00"
    seconds = (parsed.local - datetime.combine(parsed.local.date(), time())).total_seconds()
    place = {"": 0.0, " ": 1.0 + seconds, "T": 90_000.0 + seconds}[parsed.separator]
    return parsed.local.toordinal() * 200_000.0 + place


def stepped_back(value: Any, moment: datetime, overlap: timedelta) -> Any:
    """The time `moment - overlap` written as `value` is, never later. Texts get a second of slack, days a whole day."""
    earlier = _minus(moment, overlap)
    if isinstance(value, datetime):
        return earlier if value.tzinfo else earlier.replace(tzinfo=None)
    if isinstance(value, date):
        return _minus(datetime.combine(moment.date(), time(), UTC), max(overlap, _SECOND)).date()
    parsed = _parse(value)
    if parsed is None:
        return _minus(earlier, _SECOND).strftime("%Y-%m-%d %H:%M:%S")
    if not parsed.separator:
        start = datetime.combine(moment.astimezone(parsed.zone).date(), time(), UTC)
        return _minus(start, max(overlap, _SECOND)).strftime("%Y-%m-%d")
    return _minus(earlier, _SECOND).astimezone(parsed.zone).strftime(f"%Y-%m-%d{parsed.separator}%H:%M:%S")


def just_below(value: Any) -> Json:
    """The highest JSON that is surely below the value, for the open end of a range; None when there is none."""
    if isinstance(value, str):
        moment = as_time(value)
        return None if moment is None else encode(stepped_back(value, moment, timedelta(0)))
    if isinstance(value, datetime):
        return encode(_minus(value, timedelta(microseconds=1)))
    if isinstance(value, date):
        return encode(value - timedelta(days=1)) if value > date.min else None
    if isinstance(value, int):
        return value - 1
    if isinstance(value, Decimal):
        return int(value) - 1 if value == value.to_integral_value() else math.nextafter(float(value), -math.inf)
    return math.nextafter(value, -math.inf) if isinstance(value, float) else None


def at_least(value: Any) -> Json:
    """The lowest JSON that is not below the value, for the closed end of a range."""
    if not isinstance(value, Decimal):
        return encode(value)
    if value == value.to_integral_value():
        return int(value)
    near = float(value)
    return near if Decimal(near) >= value else math.nextafter(near, math.inf)


def _minus(moment: datetime, step: timedelta) -> datetime:
    try:
        return moment - step
    except OverflowError:
        return datetime.min.replace(tzinfo=moment.tzinfo)


def _parse(text: str) -> _Iso | None:
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    zone, clock = match["zone"] or "Z", match["clock"] or "00:00"
    try:
        local = datetime.fromisoformat(f"{match['day']}T{clock}{(match['fraction'] or '')[:7]}")
        return _Iso(local, _zone(zone), match["separator"] or "")
    except ValueError:
        return None


def _zone(text: str) -> timezone:
    if text == "Z":
        return UTC
    hours, minutes = int(text[1:3]), int(text[-2:]) if len(text) > 3 else 0
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(offset if text[0] == "+" else -offset)
