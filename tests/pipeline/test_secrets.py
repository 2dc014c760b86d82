"""Secrets: which forms are taken, and that none of them is ever shown."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from watcher.errors import ConfigError
from watcher.pipeline.base import from_variable
from watcher.pipeline.secrets import Free, Secret, holds_password, is_secret_key, parse_secret, reveal, secrets_in


@pytest.mark.parametrize("written", ["${PW}", "${PW:?set it}", "Bearer ${PW}", "Basic ${PW}"])
def test_a_reference_is_taken(written: str) -> None:
    """A variable, with or without the scheme of a header before it."""
    assert parse_secret(from_variable("canary", written)).reveal() == "canary"


@pytest.mark.parametrize("written", ["${PW:-canary}", "x${PW}y", "hunter2 ${PW}", "${PW}${PW}"])
def test_a_reference_with_a_literal_part_is_refused(written: str) -> None:
    """A default, or text around the variable, would be a secret in the file."""
    with pytest.raises(PydanticCustomError, match="may not stand in the file"):
        parse_secret(from_variable("canary", written))


@pytest.mark.parametrize("value", ["canary", 5, None, {"file": 5}, {"file": "/x", "y": 1}, ["canary"]])
def test_a_literal_is_refused(value: object) -> None:
    """Only references are taken, and the refusal does not repeat the value."""
    with pytest.raises(PydanticCustomError) as caught:
        parse_secret(value)
    assert caught.value.context is not None
    assert caught.value.context["code"] == "literal-secret"
    assert "canary" not in str(caught.value)


def test_a_file_is_read_anew_each_time(tmp_path: Path) -> None:
    """A rotated secret is seen without a restart; a missing file says which one."""
    file = tmp_path / "token"
    secret = parse_secret({"file": str(file)})
    with pytest.raises(ConfigError, match="token"):
        secret.reveal()
    file.write_text("one\n")
    assert secret.reveal() == "one"
    file.write_text("two")
    assert secret.reveal() == "two"


def test_a_secret_never_shows() -> None:
    """repr, str, format and a model's dumps are stars; equality and hash still work."""
    secret = Secret("canary")
    assert {f"{secret}", str(secret), repr(secret), f"{[secret]}"} == {"***", "[***]"}
    assert secret == Secret("canary") != Secret("other")
    assert len({secret, Secret("canary")}) == 1
    assert pickle.loads(pickle.dumps(secret)) == secret
    assert TypeAdapter(Secret).dump_json(secret) == b'"***"'


@pytest.mark.parametrize(
    "key",
    ["password", "DB_PASSWORD", "Authorization", "x-api-key", "apikey", "client_secret", "token", "Cookie", "pwd"],
)
def test_names_of_secrets_are_known(key: str) -> None:
    """Free keys with such a name hold secrets."""
    assert is_secret_key(key)


@pytest.mark.parametrize("key", ["key", "primary_key", "stage", "tokenizer", "passenger", "author", "secretary"])
def test_other_names_are_not(key: str) -> None:
    """A name that only begins alike is none."""
    assert not is_secret_key(key)


def test_free_keys_hold_secrets_wherever_they_are() -> None:
    """At any depth; reveal gives them back, a dump does not."""
    free = TypeAdapter(Free)
    value = free.validate_python(
        {
            "a": [{"token": from_variable("canary", "${T}")}],
            "url": from_variable("x://u:canary@h", "x://u:${T}@h"),
            "n": 1,
        }
    )
    assert "canary" not in f"{value}{free.dump_python(value)}{free.dump_json(value)!r}"
    assert reveal(value) == {"a": [{"token": "canary"}], "url": "x://u:canary@h", "n": 1}
    with pytest.raises(ValidationError):
        free.validate_python({"a": [{"token": "literal"}]})


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("https://me:pw@host/x", True),
        ("postgresql://:pw@/db", True),
        ("https://me@host/x", False),
        ("https://host:8080/a@b", False),
        ("mailto:a@b", False),
        ("https://host/x?a=b:c@d", False),
    ],
)
def test_passwords_in_urls_are_seen(text: str, held: bool) -> None:
    """A port, a user alone, or an at sign in the path is no password."""
    assert holds_password(text) is held


def test_every_secret_of_free_keys_is_found() -> None:
    """However deep it lies, in lists too; whoever sends it can hide all of them from the logs."""
    deep = {"a": Secret("1"), "b": [{"c": Secret("2")}, "plain", 3], "d": {"e": {"f": Secret("3")}}}
    assert [secret.reveal() for secret in secrets_in([deep, Secret("4")])] == ["1", "2", "3", "4"]
