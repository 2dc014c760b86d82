"""Reads tables and queries of a database with dlt: a window exactly, or what is new since the last load, or everything."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from watcher.detection import Json, Range
from watcher.errors import ConfigError, SourceError

CHUNK = 10_000  # rows per batch handed to dlt

Rows = Iterator[list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read: a `window` of a column, else by `column` since the last load, else (`column` None) everything.

    `disposition` is the write disposition asked for; None takes the careful one. An empty `key` takes the table's primary key,
    empty `columns` take all. `table` is the name at the destination; None takes the table's own.
    """

    column: str | None = None
    window: Range | None = None
    disposition: str | None = None
    key: Sequence[str] = ()
    columns: Sequence[str] = ()
    table: str | None = None

    @property
    def everything(self) -> bool:
        """Whether all rows are read: nothing tells old from new, or the destination is to be replaced."""
        return self.disposition == "replace" or (self.column is None and self.window is None)

    @property
    def time_column(self) -> str | None:
        """The column that tells old from new."""
        return self.window.column if self.window else self.column

    def with_needed(self, key: Sequence[str]) -> list[str]:
        """The columns to load, none of those missing that the load itself needs; empty is all."""
        needed = (*key, *((self.time_column,) if self.time_column else ()))
        return list(dict.fromkeys((*self.columns, *needed))) if self.columns else []

    def disposition_for(self, key: Sequence[str]) -> str:
        """What was asked for; else replace after reading everything, merge where rows have a key, append where not."""
        return self.disposition or ("replace" if self.everything else "merge" if key else "append")


def open_engine(url: str) -> Any:
    """An engine that only reads. Raises SourceError for a SQLite file that is not there: SQLite would make an empty one."""
    from dlt.common.libs.sql_alchemy import create_engine, sa

    engine = create_engine(url, pool_pre_ping=False)
    if engine.dialect.name == "sqlite":
        if not Path(engine.url.database or "").is_file():
            raise SourceError(f"there is no SQLite file {engine.url.database}", code="source-schema")
        sa.event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA query_only = ON"))
    return engine.execution_options(postgresql_readonly=True) if engine.dialect.name == "postgresql" else engine


def _told(what: str, error: Any) -> SourceError:
    """What a database refused. Only its words about connections and names are repeated: others may quote rows."""
    from dlt.common.libs.sql_alchemy import sa

    harmless = isinstance(error, sa.exc.OperationalError | sa.exc.ProgrammingError)
    words = str(error.orig).strip().splitlines() if harmless else []
    code = "source-unreachable" if isinstance(error, sa.exc.OperationalError) else "source-schema"
    return SourceError(f"{what}: {words[0] if words else type(error.orig).__name__}", code=code)


def all_tables(engine: Any) -> tuple[str, ...]:
    """Every table of the connection's default schema, sorted. Raises SourceError when the database cannot be read."""
    from dlt.common.libs.sql_alchemy import sa

    try:
        return tuple(sorted(sa.inspect(engine).get_table_names()))
    except sa.exc.DBAPIError as error:
        raise _told("the tables cannot be listed", error) from error


def table_resources(engine: Any, tables: Sequence[str], reading: Reading) -> list[Any]:
    """One dlt resource per table, named like it. Raises SourceError when a table or the column is missing."""
    if reading.table and len(tables) > 1:
        raise ConfigError(f"{len(tables)} tables cannot all be loaded into one table {reading.table}", code="bad-value")
    bare = Counter(_split(table)[1] for table in tables)
    return [
        _table(engine, table, reading, reading.table or (name if bare[name] == 1 else table.replace(".", "_")))
        for table, (_, name) in ((table, _split(table)) for table in tables)
    ]


def _split(table: str) -> tuple[str | None, str]:
    schema, _, name = table.rpartition(".")
    return schema or None, name


def _table(engine: Any, qualified: str, reading: Reading, target: str) -> Any:
    from dlt.sources.sql_database import sql_table

    schema, name = _split(qualified)
    table, times = _reflect(engine, schema, name)
    if not reading.everything and reading.time_column not in table.c:
        raise SourceError(f'table {qualified} has no column "{reading.time_column}"', code="source-schema")
    key = tuple(reading.key) or tuple(column.name for column in table.primary_key)
    hints: dict[str, Any] = {"primary_key": list(key) or None, "write_disposition": reading.disposition_for(key)}
    resource = sql_table(
        credentials=engine,
        table=name,
        metadata=table.metadata,
        chunk_size=CHUNK,
        incremental=None if reading.everything or reading.window else since_last_load(reading),
        included_columns=reading.with_needed(key) or None,
        query_adapter_callback=_windowed(None if reading.everything else reading.window),
        **hints,
    )
    if times:
        resource.apply_hints(columns=times)
    resource.apply_hints(table_name=target)
    return resource.with_name(target)


def since_last_load(reading: Reading) -> Any:
    """dlt's own memory of how far `reading.column` was loaded, kept with the rows at the destination."""
    import dlt

    # a row without a value lies in no window either
    return dlt.sources.incremental(str(reading.column), on_cursor_value_missing="exclude")


def _reflect(engine: Any, schema: str | None, name: str) -> tuple[Any, dict[str, Any]]:
    """The table, and hints for columns that must be read as the text they are."""
    from dlt.common.libs.sql_alchemy import MetaData, Table, sa
    from dlt.sources.sql_database.schema_types import table_to_columns

    try:
        table = Table(name, MetaData(schema=schema), autoload_with=engine)
    except sa.exc.NoSuchTableError as error:
        raise SourceError(f"there is no table {schema + '.' if schema else ''}{name}", code="source-schema") from error
    except sa.exc.DBAPIError as error:
        raise _told(f"table {name} cannot be read", error) from error
    if engine.dialect.name != "sqlite":
        return table, {}
    # SQLite stores times as texts of the writer's own format and compares them as such; only the destination gives them a type
    times = [column for column in table.columns if isinstance(column.type, sa.DateTime | sa.Date | sa.Time)]
    typed = table_to_columns(table)
    for column in times:
        column.type = sa.String()
    return table, {column.name: typed[column.name] for column in times}


def _windowed(window: Range | None) -> Any:
    """The condition `low < column <= high` with values as they came: the database gives them the column's own type."""
    if window is None:
        return None

    def restrict(query: Any, table: Any) -> Any:
        from dlt.common.libs.sql_alchemy import sa

        column = sa.type_coerce(table.c[window.column], sa.types.NullType())
        return query.where(
            *(compare(column, sa.bindparam(end, value, sa.types.NullType())) for end, value, compare in _ends(window))
        )

    return restrict


def _ends(window: Range) -> Iterator[tuple[str, Json, Any]]:
    if window.low is not None:
        yield "low", window.low, operator.gt
    if window.high is not None:
        yield "high", window.high, operator.le


def query_resource(engine: Any, query: str, name: str, reading: Reading) -> Any:
    """The rows of one SELECT as a dlt resource, in a window or since the last load where a column tells."""
    import dlt

    hints: dict[str, Any] = {
        "name": reading.table or name,
        "write_disposition": reading.disposition_for(reading.key),
        "primary_key": list(reading.key) or None,
    }
    wanted = frozenset(reading.with_needed(reading.key))
    if reading.everything or reading.window is not None:
        window = None if reading.everything else reading.window
        return dlt.resource(lambda: _query_rows(engine, query, window, wanted), **hints)

    last = since_last_load(reading)

    def since_last(since: Any = last) -> Rows:
        # from the last value on, included: dlt itself drops what it has loaded before
        yield from _query_rows(engine, query, Range(reading.column or "", since.last_value, None), wanted, closed=True)

    return dlt.resource(since_last, **hints)


def _query_rows(
    engine: Any, query: str, window: Range | None, wanted: Collection[str], *, closed: bool = False
) -> Rows:
    from dlt.common.libs.sql_alchemy import sa

    text, values = _restricted(engine, query, window, closed=closed)
    try:
        with engine.connect() as connection:
            result = connection.execution_options(yield_per=CHUNK).execute(sa.text(text), values)
            for rows in result.partitions():
                yield [
                    {name: row[name] for name in row if not wanted or name in wanted}
                    for row in (part._mapping for part in rows)
                ]
    except sa.exc.DBAPIError as error:
        raise _told("the query failed", error) from error


def _restricted(engine: Any, query: str, window: Range | None, *, closed: bool) -> tuple[str, dict[str, Json]]:
    text = query.strip().rstrip(";").replace(":", r"\:")  # a colon of the query is no parameter of ours
    if window is None:
        return text, {}
    column = engine.dialect.identifier_preparer.quote(window.column)
    values = {end: value for end, value, _ in _ends(window)}
    signs = {"low": ">=" if closed else ">", "high": "<="}
    conditions = " AND ".join((f"{column} IS NOT NULL", *(f"{column} {signs[end]} :{end}" for end in values)))
    return f"SELECT * FROM ({text}) AS watched WHERE {conditions}", values  # noqa: S608 - the query is the file's own
