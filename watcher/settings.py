"""The daemon's settings from one YAML file, the environment and flags; unknown keys are errors, secrets are references."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from watcher.errors import ConfigError
from watcher.pipeline.values import Duration

PREFIX = "WATCHER__"
DEFAULT_FILE = "watcher.yaml"
SECRET_KEYS = frozenset({"password", "token", "client_secret"})
LAST_PORT = 65535
VARIABLE = re.compile(r"\$(?:\$|\{([A-Za-z_][A-Za-z0-9_]*)(?:(:-|:\?)([^}]*))?\})")


class Block(BaseModel):
    """A block of the settings: unknown keys are errors, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Secret(Block):
    """A secret by reference: a file that is read again at every use, or a value that came from the environment."""

    file: Path | None = None
    value: SecretStr | None = None

    def read(self) -> str:
        """The secret itself. Raises ConfigError when its file cannot be read."""
        if self.file is None:
            return self.value.get_secret_value() if self.value else ""
        try:
            return self.file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigError(f"secret file {self.file} cannot be read: {error.strerror}") from error
        except UnicodeError:
            raise ConfigError(f"secret file {self.file} is not UTF-8") from None  # the cause holds the secret


def _as_secret(value: object) -> object:
    return {"value": str(value)} if isinstance(value, str | int) else value


def _with_a_port(address: str) -> str:
    if int(address.rpartition(":")[2]) > LAST_PORT:
        raise ValueError(f"the port is at most {LAST_PORT}")
    return address


SecretRef = Annotated[Secret, BeforeValidator(_as_secret)]
Address = Annotated[str, Field(pattern=r"^[^:\s]+:\d{1,5}$"), AfterValidator(_with_a_port)]
"""host:port"""


class Store(Block):
    """Where detections, batches and cursors are kept."""

    url: str = "sqlite:///state/watcher.db"


class Airflow(Block):
    """How Airflow's REST API is reached: a user with a password, or a token."""

    url: str
    username: str | None = None
    password: SecretRef | None = None
    token: SecretRef | None = None
    token_file: Path | None = None
    client_id: str | None = None
    client_secret: SecretRef | None = None
    token_url: str | None = None
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.client_id or self.client_secret or self.token_url:
            raise ValueError("client_id, client_secret and token_url are not available in this version yet")
        ways = [self.username is not None, self.token is not None, self.token_file is not None]
        if sum(ways) > 1:
            raise ValueError("give one of username, token or token_file")
        if self.username is not None and self.password is None:
            raise ValueError("username needs a password")
        return self


class Web(Block):
    """The listeners: host:port each. `pages` and `webhooks` are kept for the releases that serve them."""

    pages: Address = "127.0.0.1:8780"
    ops: Address = "127.0.0.1:8781"
    webhooks: Address | None = None
    public_url: str | None = None


class Log(Block):
    """`auto` is text on a terminal, JSON otherwise."""

    format: Literal["auto", "json", "text"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Alerting(Block):
    """The default for all pipelines."""

    when: tuple[str, ...] = ()
    notify: tuple[str, ...] = ()
    channels: Mapping[str, str] = {}


class Settings(BaseSettings):
    """Everything the daemon needs to know beside the pipelines. Built by `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, env_ignore_empty=True
    )

    pipelines: Path = Path("pipelines")
    environment: str | None = None
    store: Store = Store()
    airflow: Airflow
    connections: Mapping[str, SecretStr] = {}
    connections_file: Path | None = None
    web: Web = Web()
    log: Log = Log()
    shutdown_grace: Duration = timedelta(seconds=25)
    detectors: tuple[str, ...] = ()
    alerting: Alerting = Alerting()
    manifests: Path | None = None
    allow_insecure: bool = False

    @model_validator(mode="after")
    def _available(self) -> Self:
        """A key that would do nothing yet is refused rather than taken in silence."""
        later = {
            "web.webhooks": self.web.webhooks is not None,
            "web.pages": self.web.pages != Web().pages,
            "detectors": bool(self.detectors),
            "alerting": self.alerting != Alerting(),
        }
        if used := [key for key, is_used in later.items() if is_used]:
            raise ValueError(f"not available in this version yet: {', '.join(used)}")
        return self

    @property
    def connection_urls(self) -> Mapping[str, str]:
        """`connections:` in clear, for the one place that looks connections up."""
        return {name: url.get_secret_value() for name, url in self.connections.items()}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # `load_settings` lays the variables it was given over the file: the process environment never counts by itself
        return (init_settings,)


class _Variables(EnvSettingsSource):
    """The settings in the variables that `load_settings` was given, files of secrets apart."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._given = {
            name.lower(): value for name, value in variables.items() if value and _secret_in_file(name) is None
        }
        super().__init__(Settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._given

    def prepare_field_value(self, field_name: str, field: FieldInfo, value: Any, value_is_complex: bool) -> Any:
        """The value, JSON where the key asks for it. Raises ConfigError that names the variables, not their text."""
        try:
            return super().prepare_field_value(field_name, field, value, value_is_complex)
        except ValueError:
            own = f"{PREFIX}{field_name}".upper()
            names = [name.upper() for name in self.env_vars if f"{name.upper()}__".startswith(f"{own}__")]
            raise ConfigError(f"environment: {field_name}: not JSON in {', '.join(sorted(names))}") from None


def load_settings(
    file: Path | None, variables: Mapping[str, str], *, airflow_url: str | None = None, **flags: object
) -> Settings:
    """The settings of `file` (or ./watcher.yaml when there is one), the environment and flags, strongest last.

    `airflow_url` is the flag for `airflow.url` alone; the way to log in stays. Raises ConfigError with every problem, one a line.
    """
    path = file or (Path(DEFAULT_FILE) if Path(DEFAULT_FILE).exists() else None)
    values = _read(path, variables) if path else {}
    for name, location in variables.items():
        keys = _secret_in_file(name)
        if keys and location:
            _place_secret_file(values, keys, location, path)
    merged = _merge(values, _Variables(variables)())
    if airflow_url is not None and isinstance(block := merged.setdefault("airflow", {}), dict):
        block["url"] = airflow_url
    try:
        settings = Settings(**merged)
    except ValidationError as error:
        raise ConfigError(_explain(error, path)) from None  # the cause would show the values, secrets among them
    given = {key: value for key, value in flags.items() if value is not None}
    if airflow_url is not None:  # the environment has won over the file: the flag wins over both
        given["airflow"] = settings.airflow.model_copy(update={"url": airflow_url})
    return settings.model_copy(update=given) if given else settings


def _read(path: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    try:
        loaded = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}", code="unreadable-file") from error
    except UnicodeError:
        raise ConfigError(f"{path}: is not UTF-8", code="unreadable-file") from None
    except YAMLError as error:
        raise ConfigError(f"{path}{_yaml_place(error)}: not valid YAML", code="bad-yaml") from None  # it quotes values
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path}: the settings are a mapping of keys, this is a {type(loaded).__name__}")
    expanded = _expand(loaded, (), path, variables)
    assert isinstance(expanded, dict)  # noqa: S101 - a mapping stays one; this tells the type checker
    return expanded


def _yaml_place(error: YAMLError) -> str:
    """`:line:column` of what cannot be read. The library's own text may quote a secret."""
    mark = getattr(error, "problem_mark", None)
    return f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""


def _expand(node: object, keys: tuple[str, ...], path: Path, variables: Mapping[str, str]) -> object:
    if isinstance(node, dict):
        return {key: _expand(value, (*keys, str(key)), path, variables) for key, value in node.items()}
    if isinstance(node, list):
        return [_expand(value, keys, path, variables) for value in node]
    if not isinstance(node, str):
        return node
    if "${" not in node and _is_literal_secret(keys, node):
        place = ".".join(keys)
        raise ConfigError(
            f"{path}: {place} holds a secret in clear: write ${{VAR}} or {{file: ...}}", code="literal-secret"
        )

    def value(match: re.Match[str]) -> str:
        name, operator, rest = match.groups()
        if name is None:
            return "$"
        if variables.get(name):
            return variables[name]
        if operator == ":-":
            return str(rest)
        reason = f": {rest}" if operator == ":?" and rest else ""
        raise ConfigError(f"{path}: {'.'.join(keys)}: ${{{name}}} is not set{reason}", code="undefined-variable")

    return VARIABLE.sub(value, node)


def _is_literal_secret(keys: tuple[str, ...], text: str) -> bool:
    if keys and keys[-1] in SECRET_KEYS:
        return True
    return keys[:1] in (("connections",), ("store",)) and "://" in text and bool(urlsplit(text).password)


def _secret_in_file(name: str) -> list[str] | None:
    """The keys of the secret whose file this variable names; `airflow.token_file` is a key of its own."""
    name = name.upper()
    if not (name.startswith(PREFIX) and name.endswith("_FILE")):
        return None
    keys = name.removeprefix(PREFIX).removesuffix("_FILE").lower().split("__")
    return keys if keys[-1] in SECRET_KEYS and keys != ["airflow", "token"] else None


def _place_secret_file(values: dict[str, Any], keys: list[str], location: str, path: Path | None) -> None:
    """WATCHER__AIRFLOW__PASSWORD_FILE=/run/secrets/x is airflow.password: {file: /run/secrets/x}."""
    block = values
    for depth, key in enumerate(keys[:-1], start=1):
        if block.get(key) is None:
            block[key] = {}
        block = block[key]
        if not isinstance(block, dict):
            raise ConfigError(f"{path}: {'.'.join(keys[:depth])}: is a mapping of keys, not one value")
    block[keys[-1]] = {"file": location}


def _merge(weak: dict[str, Any], strong: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(weak)
    for key, value in strong.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _explain(error: ValidationError, path: Path | None) -> str:
    origin = str(path) if path else "environment"
    lines = []
    for problem in error.errors(include_url=False, include_input=False):
        place = ".".join(str(part) for part in problem["loc"]) or "settings"
        variable = PREFIX + "__".join(str(part).upper() for part in problem["loc"])
        hint = {"missing": f"required; set it in {DEFAULT_FILE} or as {variable}", "extra_forbidden": "unknown key"}
        lines.append(f"{origin}: {place}: {hint.get(problem['type'], problem['msg'])}")
    return "\n".join(lines)


def current_variables() -> Mapping[str, str]:
    """The environment of this process; the one place that reads it."""
    return dict(os.environ)
