"""Rows of a subject as (value, key, version): who a row is and which state of it was seen, in pages, in order."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from watcher.detection import Json
from watcher.detectors.table.access import Snapshot
from watcher.detectors.table.catalogue import ALIAS, Subject
from watcher.detectors.table.values import bound, encode

_ROW_POSTGRESQL = f"({ALIAS}.*)"
_KEY_TYPES: dict[str, type] = {
    "int": int,
    "str": str,
    "uuid": uuid.UUID,
    "decimal": Decimal,
    "datetime": datetime,
    "date": date,
}


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it was read. `identity` tells it from the others, `version` changes with any of its values."""

    value: Any
    key: tuple[Any, ...]
    identity: str
    version: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Position:
    """A row's place in the order (column, key); `key` empty where a query cannot tell rows of one value apart."""

    value: Any
    key: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Reader:
    """How the rows of one subject are read; `column` None reads in the order of the key alone.

    The version is a hash of the whole row: two updates within the resolution of the column are told apart. PostgreSQL
    makes it, and `bytes` is the row's size there; elsewhere the row is hashed here and `bytes` is its length as text.
    """

    snapshot: Snapshot
    subject: Subject
    column: str | None = None

    async def rows(self, *where: sa.ColumnElement[bool], limit: int | None = None) -> AsyncGenerator[list[Row], None]:
        """Pages of rows, lowest first."""
        statement = self._select().where(*where).order_by(*self._order).limit(limit)
        repeats: dict[str, int] = {}
        previous: Any = None
        async with aclosing(self.snapshot.pages(statement)) as pages:
            async for page in pages:
                read = []
                for raw in page:
                    if raw[0] != previous:  # equal rows without a key are told apart by counting them
                        previous, repeats = raw[0], {}
                    read.append(self._row(tuple(raw), repeats))
                yield read

    async def top(self, below: int = 0) -> Position | None:
        """Where the row stands that is `below` places under the highest one; None when there are not so many."""
        columns = self._order
        statement = (
            sa.select(*columns)
            .select_from(self.subject.source)
            .where(columns[0].is_not(None))
            .order_by(*(column.desc() for column in columns))
            .limit(1)
            .offset(below or None)
        )
        row = (await self.snapshot.connection.execute(statement)).first()
        return None if row is None else self.position(row[0], tuple(row[1:]))

    async def fingerprint(self, *where: sa.ColumnElement[bool]) -> str:
        """Count and hash of the rows, made by PostgreSQL."""
        return str((await self.snapshot.connection.execute(self.fingerprinted(*where))).scalar_one())

    def fingerprinted(self, *where: sa.ColumnElement[bool]) -> sa.Select[Any]:
        """The statement of `fingerprint`."""
        total = f"count(*) || ':' || coalesce(sum(hashtextextended({_ROW_POSTGRESQL}::text, 0)::numeric), 0)"
        return sa.select(sa.literal_column(total)).select_from(self.subject.source).where(*where)

    def position(self, value: Any, key: tuple[Any, ...]) -> Position:
        """The position of a row, with its key where it can be written down and compared."""
        exact = all(type_name(part) is not None for part in key)
        texts = any(isinstance(part, str) for part in key)
        return Position(value, key if exact and (self.subject.sortable or not texts) else ())

    def above(self, low: Any) -> sa.ColumnElement[bool]:
        """Rows whose value is above `low`; all that have one when it is None."""
        column = self._order[0]
        return column.is_not(None) if low is None else column > bound(low)

    def at_most(self, high: Any) -> sa.ColumnElement[bool]:
        """Rows whose value is at most `high`."""
        return self._order[0] <= bound(high)

    def after(self, position: Position) -> sa.ColumnElement[bool]:
        """Rows behind a position; without a key those of the same value too."""
        columns, values = self._order, (position.value, *position.key)
        first = columns[0] >= bound(position.value)
        return sa.and_(first, _beyond(columns, values)) if position.key else first

    def before(self, position: Position) -> sa.ColumnElement[bool]:
        """The other rows: up to a position."""
        columns, values = self._order, (position.value, *position.key)
        if not position.key:
            return columns[0] < bound(position.value)
        return sa.and_(columns[0] <= bound(position.value), sa.not_(_beyond(columns, values)))

    @property
    def _order(self) -> list[sa.ColumnClause[Any]]:
        names = [self.column] if self.column is not None else []
        return [sa.column(name) for name in (*names, *self.subject.key)]

    def _select(self) -> sa.Select[Any]:
        rest: list[sa.ColumnElement[Any]] = [sa.column(name) for name in self.subject.columns]
        if self.snapshot.postgresql:
            rest = [
                sa.literal_column(f"md5({_ROW_POSTGRESQL}::text)"),
                sa.literal_column(f"pg_column_size({_ROW_POSTGRESQL})"),
            ]
        # labels, since the column and the key stand among the columns of the row once more
        columns = [column.label(f"watched_{n}") for n, column in enumerate((*self._order, *rest))]
        return sa.select(*columns).select_from(self.subject.source)

    def _row(self, raw: tuple[Any, ...], repeats: dict[str, int]) -> Row:
        start = 0 if self.column is None else 1
        end = start + len(self.subject.key)
        key, rest = raw[start:end], raw[end:]
        if self.snapshot.postgresql:
            version, size = rest
        else:
            text = repr(rest)
            version, size = digest(text), len(text)
        if key:
            identity = digest(repr(key))
        else:
            repeats[version] = seen = repeats.get(version, -1) + 1
            identity = f"{version}#{seen}"
        return Row(raw[0], key, identity, version, size)


def digest(text: str) -> str:
    """A short hash: values of rows are remembered only as hashes."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def type_name(part: object) -> str | None:
    """The name under which `pack` writes a key's value; None for what it cannot write."""
    if isinstance(part, bool):
        return None
    return next((name for name, python in _KEY_TYPES.items() if isinstance(part, python)), None)


def pack(position: Position) -> str:
    """A position as text."""
    return json.dumps([encode(position.value), *([type_name(part), encode(part)] for part in position.key)])


def unpack(text: str, value: Any) -> Position:
    """The position that `pack` wrote for this value; without its key when it was written for another one."""
    written, *parts = json.loads(text)
    return Position(value, tuple(_read(name, part) for name, part in parts) if written == encode(value) else ())


def _read(name: str, part: Json) -> Any:
    if name == "uuid":
        return uuid.UUID(str(part))
    if name == "decimal":
        return Decimal(str(part))
    if name == "datetime":
        return datetime.fromisoformat(str(part))
    return date.fromisoformat(str(part)) if name == "date" else part


def _beyond(columns: list[sa.ColumnClause[Any]], values: tuple[Any, ...]) -> sa.ColumnElement[bool]:
    """Lexicographic "greater than", spelled out since not every database compares rows of values."""
    column, value = columns[0], bound(values[0])
    if len(values) == 1:
        return column > value
    return sa.or_(column > value, sa.and_(column == value, _beyond(columns[1:], values[1:])))
