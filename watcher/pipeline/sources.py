"""What data comes from: one model for each `source_type`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, model_validator

from watcher.pipeline.base import Like, Many, OneOrMany, Strict, refusal
from watcher.pipeline.pagination import JsonPath, Pagination
from watcher.pipeline.secrets import Free
from watcher.pipeline.values import Address, ConnectionId, Flag, Id, Name, Positive, Text
from watcher.pipeline.watches import AnyApiWatch, CustomWatch, DatabaseWatch, FilesystemWatch

_DOTTED = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
_OBJECT = Like(rf"{_DOTTED}:{_DOTTED}", "module:object, such as acme.sources:models")
_IGNORED = ("*.tmp", "*.part", ".*", "~$*")


class Ingest(Strict):
    """Where and how the DAG loads a source. `columns` are those to load, all when empty;
    `table` is the name at the destination; by `column` a run without a batch loads incrementally. `select` says where the
    rows of an api source are in its answers, `resource` (`module:object`) what makes the rows of a custom source.
    """

    destination: Name = "duckdb"
    dataset: Name | None = None
    table: Name | None = None
    write_disposition: Literal["append", "replace", "merge"] | None = None
    primary_key: OneOrMany[Name] = ()
    columns: Many[Name] = ()
    column: Name | None = None
    format: Literal["csv", "jsonl", "parquet"] | None = None
    select: JsonPath | None = None
    resource: Annotated[str, _OBJECT] | None = None


class Freshness(Strict):
    """How long a source may be silent before people hear of it."""

    warn_after: Positive | None = None
    error_after: Positive | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Freshness:
        if self.warn_after is None and self.error_after is None:
            raise refusal("freshness needs warn_after, error_after or both", code="missing-key")
        if (self.error_after or timedelta.max) <= (self.warn_after or timedelta(0)):
            raise refusal("error_after must be longer than warn_after", at=("error_after",))
        return self


class SourceBase(Strict):
    """What every source has. `watch` None: the daemon does not look at it, the DAG still loads it."""

    source_id: Id
    description: Text | None = None
    enabled: Flag = True
    connection: ConnectionId | None = None
    ingest: Ingest | None = None
    freshness: Freshness | None = None


class DatabaseSource(SourceBase):
    """Tables of a database, or what one query answers."""

    source_type: Literal["database"] = "database"
    table: Name | None = None
    tables: Annotated[Many[Name], Field(min_length=1)] | None = None
    query: Text | None = None
    watch: DatabaseWatch | None = None

    @property
    def all_tables(self) -> tuple[str, ...]:
        """Every table, whether written as `table` or `tables`."""
        return (self.table,) if self.table is not None else self.tables or ()

    @model_validator(mode="after")
    def _one_way(self) -> DatabaseSource:
        given = [key for key in ("table", "tables", "query") if getattr(self, key) is not None]
        if len(given) > 1:
            raise refusal(f"{' and '.join(given)} cannot stand together", hint="take one of them", at=(given[1],))
        if self.tables and len(set(self.tables)) < len(self.tables):
            raise refusal("a table stands twice in tables", at=("tables",))
        return self


class FilesystemSource(SourceBase):
    """The files of a folder, or of a prefix of an object store, whose names match `pattern` and none of `ignore`."""

    source_type: Literal["filesystem"] = "filesystem"
    path: Address
    pattern: Annotated[str, Like(r"[^/]|[^/].*[^/]", "a pattern of names below path, such as **/*.csv")] = "**/*"
    ignore: Many[Annotated[str, Field(min_length=1, max_length=500)]] = _IGNORED
    watch: FilesystemWatch | None = None

    @model_validator(mode="after")
    def _whole_path(self) -> FilesystemSource:
        if not self.path.startswith("/") and "://" not in self.path:
            raise refusal(
                "path must be absolute, since daemon and Airflow start in different folders",
                hint="begin it with / or s3://, gs://, az://",
                at=("path",),
            )
        return self


class ApiSource(SourceBase):
    """A resource of an HTTP API: a path behind the connection's host, or a whole URL."""

    source_type: Literal["api"] = "api"
    endpoint: Address | None = None
    params: Free = Field(default_factory=dict)
    headers: Free = Field(default_factory=dict)
    pagination: Pagination | None = None
    watch: AnyApiWatch | None = None

    @model_validator(mode="after")
    def _somewhere(self) -> ApiSource:
        if self.endpoint is None and getattr(self.watch, "method", None) != "webhook":
            raise refusal("an api source needs an endpoint", code="missing-key", hint="add `endpoint:`")
        return self


class CustomSource(SourceBase):
    """What a class or function of your own looks at; `detector` is `module:object`."""

    source_type: Literal["custom"] = "custom"
    detector: Annotated[str, Like(rf"{_DOTTED}:{_DOTTED}", "module:object, such as acme.detectors:Registry")]
    options: Free = Field(default_factory=dict)
    watch: CustomWatch | None = None


Source: TypeAlias = DatabaseSource | FilesystemSource | ApiSource | CustomSource
AnySource: TypeAlias = Annotated[Source, Field(discriminator="source_type")]
"""Source for a model's field: the union that is told apart by `source_type`."""

SOURCE_CLASSES: dict[str, Any] = {
    "database": DatabaseSource,
    "filesystem": FilesystemSource,
    "api": ApiSource,
    "custom": CustomSource,
}
