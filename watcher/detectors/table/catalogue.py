"""What the source's own catalogue says of a table: no name from a file reaches SQL without being found here first."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from watcher.detectors.table.access import Snapshot
from watcher.errors import SourceError

ALIAS = "watched"
_NAME = re.compile(r'"((?:[^"]|"")+)"|([^."]+)')


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing that is looked at: a table, a view or a query, under the alias `watched`.

    `label` names it for people and in the cursor. `key` is empty where rows have none. `sortable`: the database orders
    texts of the key as it compares them with a parameter. `stored`: its rows change only by being written, as those of a
    view or a query that asks the clock do not.
    """

    label: str
    source: sa.FromClause
    columns: tuple[str, ...]
    key: tuple[str, ...] = ()
    sortable: bool = False
    stored: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the pipeline file names: tables or one query, a column, a key."""

    tables: tuple[str, ...] = ()
    query: str | None = None
    column: str | None = None
    key: tuple[str, ...] | None = None


async def find(snapshot: Snapshot, wanted: Wanted) -> tuple[Subject, ...]:
    """The subjects, checked. Raises SourceError `source-schema` with the nearest name for one that is not there."""
    if wanted.query is not None:
        found: tuple[Subject, ...] = (await _query(snapshot, wanted),)
    else:
        found = tuple([await snapshot.connection.run_sync(_table, name, wanted) for name in wanted.tables])
    for subject in found:
        for column in (*([wanted.column] if wanted.column else []), *(wanted.key or ())):
            if column not in subject.columns:
                raise _missing(f'column "{column}" in {subject.label}', column, subject.columns)
    return found


def parse_name(text: str) -> tuple[str | None, str]:
    """`schema.table`, each part plain or in double quotes, as (schema or None, table)."""
    parts, position = [], 0
    while match := _NAME.match(text, position):
        parts.append(match[1].replace('""', '"') if match[1] else match[2])
        position = match.end()
        if text[position : position + 1] != ".":
            break
        position += 1
    # what cannot be read as a name is looked for as it stands, and not found
    if position != len(text) or not 1 <= len(parts) <= 2:
        return None, text
    return (parts[0], parts[1]) if len(parts) == 2 else (None, parts[0])


def as_subquery(query: str) -> sa.FromClause:
    """A query as one more table. Its text is the author's; the transaction only reads, and drivers take one statement."""
    # a colon would be read as a parameter, and a last comment would swallow the closing bracket
    bare = query.strip().rstrip(";").replace(":", r"\:") + "\n"
    return sa.text(bare).columns().subquery(ALIAS)


async def _query(snapshot: Snapshot, wanted: Wanted) -> Subject:
    source = as_subquery(wanted.query or "")
    statement: sa.Select[Any] = sa.select(sa.literal_column("*")).select_from(source).limit(0)
    result = await snapshot.connection.execute(statement)
    local = snapshot.connection.dialect.name == "sqlite"
    return Subject("query", source, tuple(result.keys()), wanted.key or (), sortable=local)


def _table(connection: sa.Connection, name: str, wanted: Wanted) -> Subject:
    inspector = sa.inspect(connection)
    schema, table = parse_name(name)
    try:
        columns = inspector.get_columns(table, schema)
    except sa.exc.NoSuchTableError:
        columns = []
    if not columns:
        raise _missing(f'table "{name}"', table, _tables(inspector, schema), prefix=f"{schema}." if schema else "")
    key = wanted.key if wanted.key is not None else _key(inspector, table, schema, columns)
    types = {column["name"]: column["type"] for column in columns}
    source = sa.table(table, schema=schema).alias(ALIAS)
    sortable = all(_plain(types[part]) for part in key if part in types)
    stored = inspector.has_table(table, schema) and table not in inspector.get_view_names(schema)
    return Subject(name, source, tuple(types), tuple(key), sortable, stored)


def _plain(kind: sa.types.TypeEngine[Any]) -> bool:
    return type(kind).__visit_name__ in {"VARCHAR", "TEXT", "CHAR", "string", "text"} or not isinstance(
        kind, sa.String | sa.types.NullType
    )


def _key(inspector: sa.Inspector, table: str, schema: str | None, columns: Sequence[Any]) -> Iterable[str]:
    """The primary key, else the narrowest unique index over columns that are never NULL."""
    if primary := inspector.get_pk_constraint(table, schema).get("constrained_columns"):
        return primary
    filled = {column["name"] for column in columns if not column["nullable"]}
    unique: list[list[str]] = [list(c["column_names"]) for c in inspector.get_unique_constraints(table, schema)]
    for index in inspector.get_indexes(table, schema):
        names = [name for name in index["column_names"] if name is not None]
        partial = any(option.endswith("_where") for option in index.get("dialect_options", {}))
        if index["unique"] and not partial and len(names) == len(index["column_names"]):
            unique.append(names)
    return min((names for names in unique if filled.issuperset(names)), key=len, default=())


def _tables(inspector: sa.Inspector, schema: str | None) -> list[str]:
    return [*inspector.get_table_names(schema), *inspector.get_view_names(schema)]


def _missing(what: str, name: str, names: Iterable[str], prefix: str = "") -> SourceError:
    folded = {candidate.lower(): candidate for candidate in names}
    near = difflib.get_close_matches(name.lower(), folded, n=1)
    hint = f'; did you mean "{prefix}{folded[near[0]]}"?' if near else ""
    return SourceError(f"there is no {what}{hint}", code="source-schema")
