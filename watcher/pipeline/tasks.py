"""What a run does beside loading its sources: transformations, validations, Snowflake tasks, order and retries."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import Field, GetJsonSchemaHandler, JsonValue, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from watcher.errors import ConfigError
from watcher.pipeline.base import Many, Strict, refusal
from watcher.pipeline.secrets import Free
from watcher.pipeline.sql_names import column_of, parts_of
from watcher.pipeline.values import ConnectionId, CountOrNone, Duration, Flag, Id, Name, Number, Positive, Text

TriggerRule = Literal[
    "all_success",
    "all_failed",
    "all_done",
    "all_done_min_one_success",
    "all_skipped",
    "one_success",
    "one_failed",
    "one_done",
    "none_failed",
    "none_failed_min_one_success",
    "none_skipped",
    "always",
]
"""Airflow's own words for when a task may start."""
State = Literal["failing", "stale", "gap", "parked", "held", "invalid", "unleased", "run_failed", "recovered"]


_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "not_null": ("column",),
    "unique": ("column",),
    "accepted_values": ("column", "values"),
    "range": ("column",),
    "freshness": ("column", "max_age"),
    "relationships": ("column", "to"),
}
_NEEDS: Final = {"column": "a column", "values": "values", "max_age": "max_age", "to": "a table to look in"}


class Transformation(Strict):
    """One model that is built; its task is `transform_<model_name>`."""

    model_name: Id
    select: Text | None = None
    vars: Free = Field(default_factory=dict)
    full_refresh: Flag = False
    trigger_rule: TriggerRule | None = None


class Validation(Strict):
    """One rule about a model or table; the rules of one subject share the task `validate_<subject>`."""

    rule: Literal["not_null", "unique", "accepted_values", "range", "row_count", "freshness", "relationships", "sql"]
    model: Id | None = None
    table: Name | None = None
    column: Name | None = None
    values: Many[JsonValue] = ()
    min: Number | None = None
    max: Number | None = None
    max_age: Positive | None = None
    to: Name | None = None
    field: Name | None = None
    sql: Text | None = None
    severity: Literal["warn", "error"] = "error"
    connection: ConnectionId | None = None
    name: Id | None = None

    @property
    def subject(self) -> str:
        """What the rule is about: its model, else its table, else its own name."""
        return self.model or self.table or self.name or ""

    @model_validator(mode="after")
    def _about_something(self) -> Validation:
        if self.model is not None and self.table is not None:
            raise refusal("model and table cannot stand together", hint="take one of the two", at=("table",))
        if not self.subject:
            raise refusal("a validation needs a model, a table or a name", code="missing-key")
        if self.rule != "sql" and self.model is None and self.table is None:
            raise refusal(f"rule: {self.rule} needs a model or a table", code="missing-key", at=("rule",))
        return self

    @model_validator(mode="after")
    def _complete(self) -> Validation:
        if (self.rule == "sql") != (self.sql is not None):
            raise refusal("rule: sql and sql belong together", at=("rule",))
        for key in _NEEDED.get(self.rule, ()):
            if getattr(self, key) in (None, ()):
                hint = f"add `{key}:`"
                raise refusal(f"rule: {self.rule} needs {_NEEDS[key]}", code="missing-key", hint=hint, at=("rule",))
        if self.rule == "range" and self.min is None and self.max is None:
            raise refusal("rule: range needs min or max", code="missing-key", hint="add `min:`", at=("rule",))
        if self.min is not None and self.max is not None and self.min > self.max:
            raise refusal("min is larger than max", at=("min",))
        return self

    @model_validator(mode="after")
    def _named(self) -> Validation:
        for key, read in (("table", parts_of), ("to", parts_of), ("column", column_of), ("field", column_of)):
            name = getattr(self, key)
            try:
                if name is not None:
                    read(name)
            except ConfigError as error:
                raise refusal(str(error), at=(key,)) from error
        if any(value is None or isinstance(value, list | dict) for value in self.values):
            raise refusal("values are texts, numbers, true or false", at=("values",))
        return self


class SnowflakeTask(Strict):
    """One statement or file of SQL in Snowflake; its task is `snowflake_<name>`."""

    name: Id
    sql: Text | None = None
    file: Name | None = None
    connection: ConnectionId | None = None
    parameters: Free = Field(default_factory=dict)
    warehouse: Name | None = None
    role: Name | None = None

    @model_validator(mode="after")
    def _one_text(self) -> SnowflakeTask:
        if (self.sql is None) == (self.file is None):
            raise refusal("a snowflake task needs either sql or file", at=("file",))
        return self


class Dependency(Strict):
    """What a task waits for."""

    after: Many[Name] = ()
    trigger_rule: TriggerRule = "all_success"

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"after": value} if isinstance(value, list | tuple) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "array", "items": {"type": "string"}}, handler(schema)]}


class Retry(Strict):
    """How often a failed task is tried again, and how long it waits before that."""

    attempts: CountOrNone = 2
    delay: Duration = timedelta(seconds=30)
    backoff: Literal["fixed", "exponential"] = "exponential"
    max_delay: Positive = timedelta(minutes=10)

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"attempts": value} if isinstance(value, int | str) and not isinstance(value, bool) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "integer", "minimum": 0}, handler(schema)]}


class Retries(Strict):
    """Retries by kind of task."""

    ingest: Retry = Retry()
    transform: Retry = Retry()
    validate_: Annotated[Retry, Field(alias="validate")] = Retry()
    snowflake: Retry = Retry()


class TaskTimeouts(Strict):
    """How long a task of a kind may take; none means for ever."""

    ingest: Positive | None = None
    transform: Positive | None = None
    validate_: Annotated[Positive | None, Field(alias="validate")] = None
    snowflake: Positive | None = None


class Monitoring(Strict):
    """Task timeouts, how long a run is expected to take, and labels for its metrics."""

    task_timeout: TaskTimeouts = TaskTimeouts()
    expected_duration: Positive | None = None
    labels: dict[str, Annotated[str, Field(max_length=200)]] = Field(default_factory=dict)


class Alerting(Strict):
    """Which states are told to which channels."""

    when: Many[State] = ()
    notify: Many[Id] = ()
