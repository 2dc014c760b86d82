"""The strict base of every model of a pipeline file, and the one way a rule inside a model refuses a value."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


class Strict(BaseModel):
    """Frozen, no unknown keys, no coercion; attribute names are the YAML's keys."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", validate_default=False)


def refusal(
    message: str, *, code: str = "bad-value", hint: str = "", at: tuple[str | int, ...] = ()
) -> PydanticCustomError:
    """What a validator raises. `at` leads from the refused value to where the caret belongs; `code` is one of CODES."""
    return PydanticCustomError("refused", "{message}", {"message": message, "code": code, "hint": hint, "at": at})


class FromVariable(str):
    """A text that came out of `${VAR}`. `written` is the file's text and may be shown; the value may be a secret."""

    written: str = ""


def from_variable(value: str, written: str) -> FromVariable:
    """Mark `value` as the expansion of `written`."""
    text = FromVariable(value)
    text.written = written
    return text


@dataclass(frozen=True, slots=True)
class Like:
    """Annotates a text that must match `pattern` as a whole; `sentence` says so to people, in the refusal."""

    pattern: str
    sentence: str
    longest: int = 500

    def check(self, value: str) -> str:
        """The value itself. Raises the refusal `bad-value`."""
        if len(value) > self.longest:
            raise refusal(f"must not be longer than {self.longest} characters")
        if not re.fullmatch(self.pattern, value):
            raise refusal(f"must be {self.sentence}")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        expanded = r"[^$]*\$\{.+\}.*"
        return handler(schema) | {"pattern": f"^({self.pattern}|{expanded})$", "maxLength": self.longest}


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class _LoneItem:
    """Annotates a list whose only item may stand without brackets."""

    def wrap(self, value: Any) -> Any:
        return (value,) if isinstance(value, str) or not isinstance(value, list | tuple) else tuple(value)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.wrap, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        many = handler(schema)
        return {"anyOf": [many["items"], many]}


T = TypeVar("T")
Many = Annotated[tuple[T, ...], BeforeValidator(_as_tuple)]
"""A list of the file, frozen."""
OneOrMany = Annotated[tuple[T, ...], _LoneItem()]
"""A list, or its only item written without brackets."""
