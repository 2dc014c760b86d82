"""Connection ids to URLs, looked up where Airflow users keep them, always saying where one was found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from urllib.parse import quote, urlencode

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from watcher.errors import ConfigError
from watcher.pipeline.model import Pipeline

OWN_PREFIX, AIRFLOW_PREFIX = "WATCHER_CONN_", "AIRFLOW_CONN_"


@dataclass(frozen=True, slots=True)
class Connection:
    """A URL with its credentials, and the place it was found. Never printed: the repr holds no URL."""

    connection_id: str
    url: str
    where: str

    def __repr__(self) -> str:
        return f"Connection({self.connection_id!r} from {self.where})"


@dataclass(frozen=True, slots=True)
class Connections:
    """All places a connection may be defined in, in the order in which they are asked."""

    settings: Mapping[str, str]
    variables: Mapping[str, str]
    file: Path | None = None

    def find(self, connection_id: str) -> Connection:
        """The first definition. Raises ConfigError `unknown-connection` that lists where we looked."""
        looked = []
        name = connection_id.upper()
        for where, value in (
            (OWN_PREFIX + name, self.variables.get(OWN_PREFIX + name)),
            ("connections: in the settings", self.settings.get(connection_id)),
            (AIRFLOW_PREFIX + name, self.variables.get(AIRFLOW_PREFIX + name)),
            (f"{self.file}", self._from_file(connection_id)),
        ):
            if value:
                return Connection(connection_id, to_url(connection_id, value), where)
            if where != "None":
                looked.append(where)
        places = ", ".join(looked)
        raise ConfigError(
            f'nobody defines connection "{connection_id}" (looked for {places})', code="unknown-connection"
        )

    def missing(self, pipeline: Pipeline) -> tuple[str, ...]:
        """The message for each connection that a watched source names and nobody defines."""
        problems = []
        for source in pipeline.watched:
            if source.connection is not None:
                try:
                    self.find(source.connection)
                except ConfigError as error:
                    problems.append(f"source {source.source_id}: {error}")
        return tuple(problems)

    def _from_file(self, connection_id: str) -> str | None:
        if self.file is None:
            return None
        try:
            text = self.file.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"connections_file {self.file} cannot be read: {error.strerror}") from error
        except UnicodeError:
            raise ConfigError(f"connections_file {self.file} is not UTF-8") from None  # the cause holds the text
        value = _entries(self.file, text).get(connection_id)
        return json.dumps(value, default=str) if isinstance(value, dict) else value if isinstance(value, str) else None


def _entries(path: Path, text: str) -> Mapping[str, object]:
    """What Airflow's local-filesystem secrets backend reads: NAME=uri lines, JSON or YAML."""
    if path.suffix == ".env":
        pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.lstrip().startswith("#"))
        return {key.strip(): value.strip() for key, value in pairs}
    try:
        loaded = YAML(typ="safe", pure=True).load(StringIO(text))
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        raise ConfigError(f"connections_file {path}{line}: not valid YAML or JSON") from None  # the cause quotes values
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ConfigError(f"connections_file {path}: expected connection ids with their URIs")
    # the backend also accepts a list of definitions under one id; the first one is used
    return {str(key): value[0] if isinstance(value, list) and value else value for key, value in loaded.items()}


def to_url(connection_id: str, value: str) -> str:
    """A URL from Airflow's URI or JSON form. Raises ConfigError for JSON that is no connection."""
    if not value.lstrip().startswith("{"):
        return value.replace("postgres://", "postgresql://", 1) if value.startswith("postgres://") else value
    try:
        fields = json.loads(value)
    except ValueError:
        raise ConfigError(f'connection "{connection_id}" is neither a URI nor JSON') from None  # the cause shows it
    kind = {"postgres": "postgresql"}.get(str(fields.get("conn_type", "")), str(fields.get("conn_type", "")))
    if not kind:
        raise ConfigError(f'connection "{connection_id}" has no conn_type')
    if kind == "sqlite":
        return f"sqlite:///{fields.get('host') or fields.get('schema') or ''}"
    login, password = (quote(str(fields.get(key) or ""), safe="") for key in ("login", "password"))
    credentials = f"{login}{':' + password if password else ''}@" if login or password else ""
    port = f":{fields['port']}" if fields.get("port") else ""
    url = f"{kind}://{credentials}{fields.get('host') or ''}{port}/{quote(str(fields.get('schema') or ''))}"
    options = _options(connection_id, fields.get("extra"))
    plain = {k: v for k, v in options.items() if isinstance(v, str | int | float)}
    return f"{url}?{urlencode(plain)}" if plain else url


def _options(connection_id: str, extra: object) -> Mapping[str, object]:
    """`extra` of a connection: a JSON object, or one as text. Raises ConfigError that does not show it."""
    try:
        options = json.loads(extra) if isinstance(extra, str) and extra else extra
    except ValueError:
        raise ConfigError(f'connection "{connection_id}" has an extra that is not JSON') from None
    if options is None or options == "":
        return {}
    if not isinstance(options, dict):
        raise ConfigError(f'connection "{connection_id}" has an extra that is no JSON object')
    return options
