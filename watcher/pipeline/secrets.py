"""A secret of a pipeline file: given by reference only, and never shown by repr, dump or traceback."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, PlainSerializer
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from watcher.errors import ConfigError
from watcher.pipeline.base import FromVariable, refusal

MASK: Final = "***"
_REFERENCE: Final = re.compile(r"(?:[A-Za-z][A-Za-z-]{0,20} )?\$\{[A-Za-z_][A-Za-z0-9_]*(?::\?[^{}]*)?\}")
_SECRET_KEY: Final = re.compile(
    r"(?:.*[-_.])?(?:password|passwd|passphrase|pwd|secret|secret[-_]key|token|apikey|api[-_]key|auth[-_]?key|authorization|"
    r"access[-_]key|private[-_]key|client[-_]secret|credentials?|cookie)",
    re.IGNORECASE,
)
_URL_PASSWORD: Final = re.compile(r"://[^/\s:@]{0,200}:(?!\d{1,5}(?:[/?#]|$))[^\s@]{0,500}@")
_SCHEMA: Final[JsonSchemaValue] = {
    "anyOf": [
        {"type": "string", "pattern": r"\$\{.+\}"},
        {
            "type": "object",
            "properties": {"file": {"type": "string"}},
            "required": ["file"],
            "additionalProperties": False,
        },
    ]
}


class Secret:
    """A value that came from a variable, or a file. Shows as `***` everywhere; `reveal` is the one way in."""

    __slots__ = ("_file", "_value")

    def __init__(self, value: str | None = None, *, file: Path | None = None) -> None:
        self._value = value
        self._file = file

    def reveal(self) -> str:
        """The secret; a file is read anew at each call, so a rotated one is seen. Raises ConfigError."""
        if self._file is None:
            return self._value or ""
        try:
            return self._file.read_text("utf-8").rstrip("\r\n")
        except (OSError, ValueError) as error:
            raise ConfigError(f"the secret's file {self._file} cannot be read", code="unreadable-file") from error

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and (self._value, self._file) == (other._value, other._file)

    def __hash__(self) -> int:
        return hash((self._value, self._file))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            _bare_secret,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda _: MASK),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return _SCHEMA


def is_secret_key(key: str) -> bool:
    """Whether a free key is the name of a secret, such as `password`, `x-api-key`, `Authorization`."""
    return _SECRET_KEY.fullmatch(key) is not None


def holds_password(text: str) -> bool:
    """Whether a text has a URL with a password in it."""
    return _URL_PASSWORD.search(text) is not None


def parse_secret(value: Any, at: tuple[str | int, ...] = ()) -> Secret:
    """`${VAR}` (already expanded and marked) or `{file: path}` -> Secret. Raises the refusal `literal-secret`."""
    if isinstance(value, Secret):
        return value
    if isinstance(value, FromVariable) and _REFERENCE.fullmatch(value.written):
        return Secret(str(value))
    if isinstance(value, dict) and set(value) == {"file"} and isinstance(value["file"], str):
        return Secret(file=Path(value["file"]))
    raise refusal(
        "a secret may not stand in the file",
        code="literal-secret",
        hint="write ${VAR} or {file: /run/secrets/name}",
        at=at,
    )


def _bare_secret(value: Any) -> Secret:
    return parse_secret(value)


def _guard(value: Any, at: tuple[str | int, ...] = ()) -> Any:
    if at and is_secret_key(str(at[-1])) and isinstance(value, str | Secret | dict) and value != "":
        return parse_secret(value, at)
    if isinstance(value, str) and holds_password(value):
        return Secret(str(value)) if isinstance(value, FromVariable) else parse_secret(value, at)
    if isinstance(value, dict):
        return {key: _guard(inner, (*at, key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [_guard(inner, (*at, place)) for place, inner in enumerate(value)]
    return str(value) if isinstance(value, FromVariable) else value


def _each(value: Any, change: Callable[[Secret], Any]) -> Any:
    if isinstance(value, Secret):
        return change(value)
    if isinstance(value, dict):
        return {key: _each(inner, change) for key, inner in value.items()}
    return [_each(inner, change) for inner in value] if isinstance(value, list) else value


def reveal(free: dict[str, Any]) -> dict[str, Any]:
    """Free keys with every Secret replaced by what it holds; for the one place that sends them. Raises ConfigError."""
    return {key: _each(value, Secret.reveal) for key, value in free.items()}


def secrets_in(value: Any) -> Iterator[Secret]:
    """Every Secret of free keys, however deep; for whoever must hide what it is about to send."""
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from secrets_in(inner)


def _masked(free: dict[str, Any]) -> dict[str, Any]:
    return {key: _each(value, lambda _: MASK) for key, value in free.items()}


Free = Annotated[dict[str, Any], BeforeValidator(_guard), PlainSerializer(_masked, return_type=dict[str, Any])]
"""Keys of the user's own choice; those with the name of a secret, and URLs with a password, hold a Secret."""
