"""What `watch:` may say, one model for each method, with `auto` already resolved."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, JsonValue, model_validator

from watcher.detection import Operation
from watcher.pipeline.base import Like, Many, OneOrMany, Strict, refusal
from watcher.pipeline.secrets import Secret
from watcher.pipeline.values import Address, Count, Duration, Flag, Interval, Name, Positive, Size, Text

_ALL: tuple[Operation, ...] = ("insert", "update", "delete", "truncate", "unknown")


class WatchBase(Strict):
    """What every method understands. `timeout` ends one look; `backoff` is the longest pause between failing looks."""

    interval: Interval = timedelta(seconds=30)
    timeout: Positive = timedelta(seconds=20)
    start_from: Literal["now", "beginning"] = "now"
    operations: Annotated[Many[Operation], Field(min_length=1)] = _ALL
    confirm: Count = 1
    backoff: Interval | None = None


class TableTimestamp(WatchBase):
    """Inserts and updates through a column that only grows; `notify` is a LISTEN channel that wakes it."""

    method: Literal["timestamp"] = "timestamp"
    column: Name
    key: OneOrMany[Name] | None = None
    overlap: Duration = timedelta(minutes=10)
    notify: Annotated[str, Like(r"[A-Za-z_][A-Za-z0-9_]*", "a channel of letters, digits and _", 63)] | None = None


class TablePolling(WatchBase):
    """Any difference that a query shows; with `compare: rows` inserts, updates and deletes by key."""

    method: Literal["polling"] = "polling"
    query: Text | None = None
    compare: Literal["rows"] | None = None
    key: OneOrMany[Name] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> TablePolling:
        if self.query is not None and self.compare is not None:
            raise refusal("query and compare cannot stand together", hint="take one of the two", at=("compare",))
        return self


class TableLog(WatchBase):
    """Every insert, update, delete and truncate from the database's own log."""

    method: Literal["log"] = "log"
    slot: Annotated[str, Like(r"[a-z0-9_]+", "made of lower-case letters, digits and _", 63)] | None = None
    max_lag: Size | None = None
    fallback: Literal["timestamp", "polling"] | None = None
    on_gap: Literal["stop", "continue", "rescan"] = "stop"
    column: Name | None = None

    @model_validator(mode="after")
    def _fallback_column(self) -> TableLog:
        if self.fallback == "timestamp" and self.column is None:
            raise refusal(
                "fallback: timestamp needs a column", code="missing-key", hint="add `column:`", at=("fallback",)
            )
        return self


class FilesystemWatch(WatchBase):
    """Created, modified and deleted files; the inventory is the truth and events only wake it.

    `settle`: a file counts once it has not changed for so long. `done_marker`: the file that says a folder is complete.
    """

    method: Literal["notify", "polling"] = "notify"
    operations: Annotated[Many[Operation], Field(min_length=1)] = ("insert", "update")
    settle: Duration = timedelta(seconds=2)
    done_marker: Annotated[str, Like(r"[^/]+", "the name of a file, without a folder", 255)] | None = None
    rescan: Interval = timedelta(seconds=60)
    hash: Flag = False

    @model_validator(mode="before")
    @classmethod
    def _marker_settles(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("done_marker") is not None and "settle" not in values:
            return values | {"settle": timedelta(0)}
        return values


class ApiWatch(WatchBase):
    """What the methods that ask an HTTP API share. `rate_limit` is `30/m`: so many requests per s, m, h or d."""

    expect: dict[str, JsonValue] = Field(default_factory=dict)
    max_age: Positive = timedelta(hours=1)
    rate_limit: Annotated[str, Like(r"[1-9][0-9]{0,5}/[smhd]", "requests per s, m, h or d, such as 30/m")] | None = None


class ApiResource(ApiWatch):
    """One resource differs: by its validators, last by the hash of `select` (JMESPath)."""

    method: Literal["etag", "last_modified", "hash"] = "hash"
    select: Text | None = None


class ApiItems(ApiWatch):
    """New and changed items of a list by `key`; removed ones too with `compare: rows`."""

    method: Literal["items"] = "items"
    select: Text
    key: OneOrMany[Name]
    compare: Literal["rows"] | None = None
    cursor_param: Name | None = None
    pagination: dict[str, JsonValue] = Field(default_factory=dict)


class ApiWebhook(WatchBase):
    """What a sender posts, verified and stored before it is answered."""

    method: Literal["webhook"] = "webhook"
    endpoint: Address
    verify: Literal["standard", "github", "gitlab", "token"] = "standard"
    secret: OneOrMany[Secret]


class CustomWatch(WatchBase):
    """How often your own class looks."""

    method: Literal["custom"] = "custom"


DatabaseWatch: TypeAlias = Annotated[TableTimestamp | TablePolling | TableLog, Field(discriminator="method")]
AnyApiWatch: TypeAlias = Annotated[ApiResource | ApiItems | ApiWebhook, Field(discriminator="method")]
Watch: TypeAlias = (
    TableTimestamp | TablePolling | TableLog | FilesystemWatch | ApiResource | ApiItems | ApiWebhook | CustomWatch
)
