"""Each kind of Airflow sensor as the source that replaces it, with what a person has to fill in."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from watcher.adopt.found import AirflowSensor, Kind
from watcher.adopt.values import UNKNOWN
from watcher.pipeline.secrets import is_secret_key
from watcher.pipeline.values import format_duration

FILL_IN: Final = "FILL_IN"
_TEMPLATE: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_GLOB: Final = re.compile(r"[*?\[]")
_ID: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Draft:
    """A source to be written. `needs` are what a person must do before it can be enabled; `notes` are what differs."""

    source_id: str
    keys: Mapping[str, Any]
    needs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    connections: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether it works as it is written."""
        return not self.needs


@dataclass(slots=True)
class _Making:
    """A draft while it is made."""

    sensor: AirflowSensor
    keys: dict[str, Any] = field(default_factory=dict)
    needs: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    connections: list[str] = field(default_factory=list)

    def text(self, name: str) -> str | None:
        """An argument that is a text without a template; None, and a person is needed, when it is not."""
        value = self.sensor.get(name)
        if isinstance(value, str) and value:
            return value
        self.needs.append(f"{name} is not a constant in the DAG: fill it in")
        return None

    def connection(self, name: str, default: str) -> str | None:
        """The connection that the sensor names."""
        value = self.sensor.get(name, default)
        if not isinstance(value, str) or not _ID.fullmatch(value):
            self.needs.append(f"{name} is not the id of a connection in the DAG: fill it in")
            return None
        self.connections.append(value)
        return value

    def decided_by_code(self, *names: str) -> None:
        """Arguments that hold functions: what they decide is lost."""
        for name in names:
            if self.sensor.get(name) is not None:
                self.needs.append(f"{name}= of the DAG decided what counts; here every change counts: is that right?")


def draft(sensor: AirflowSensor) -> Draft:
    """The source that replaces an Airflow sensor."""
    making = _Making(sensor)
    _MAKE[sensor.kind](making)
    if sensor.after:
        tasks = ", ".join(task.partition(".")[2] for task in sensor.after[:3])
        making.notes.append(f"it stood after {tasks}: split the DAG there, for the run now begins with the change")
    if sensor.get("soft_fail") not in (None, False):
        making.notes.append("soft_fail skipped what followed; a run without the change is not made any more")
    return Draft(source_id_of(sensor), making.keys, tuple(making.needs), tuple(making.notes), tuple(making.connections))


def source_id_of(sensor: AirflowSensor) -> str:
    """The task's id with the words taken off that say it waits."""
    short = sensor.task_id.rpartition(".")[2]
    plain = re.sub(r"^(wait|waits|waiting|sense|check|poke|watch)_(for_|on_)?|_?sensor$", "", short)
    cleaned = re.sub(r"[^A-Za-z0-9_.-]", "_", plain) or "source"
    return cleaned if _ID.fullmatch(cleaned) else f"s{cleaned}"


def _file(making: _Making) -> None:
    making.keys["source_type"] = "filesystem"
    making.keys |= {"path": f"/{FILL_IN}", "pattern": "**/*", "watch": {"settle": "2s"}}
    path = making.text("filepath")
    if path is None:
        return
    if not path.startswith("/"):
        name = making.sensor.get("fs_conn_id", "fs_default")
        making.needs.append(f"filepath is relative to the path of connection {name}: put that before it")
        path = posixpath.join(f"/{FILL_IN}", path)
    folder, pattern = _split(path)
    making.keys |= {"path": folder, "pattern": pattern}
    _tell_template(making, path)
    if pattern == posixpath.basename(path) and "." not in pattern and not pattern.startswith("_"):
        making.notes.append(f'if {path} is a folder: path: {path} and pattern: "**/*"')


def _split(path: str) -> tuple[str, str]:
    """The folder that is fixed, and a pattern for the rest of the path."""
    plain = re.sub(r"\*+", lambda stars: "**" if stars[0] == "**" else "*", _TEMPLATE.sub("*", path))
    parts = plain.split("/")
    first = next((place for place, part in enumerate(parts) if _GLOB.search(part)), len(parts) - 1)
    folder = "/".join(parts[:first]) or "/"
    return folder, "/".join(part for part in parts[first:] if part) or "**/*"


def _tell_template(making: _Making, path: str) -> None:
    for template in _TEMPLATE.findall(path):
        making.notes.append(f"{template} became *: every new name counts, whatever its date")


def _sql(making: _Making) -> None:
    making.keys["source_type"] = "database"
    sql = making.text("sql")
    making.keys["connection"] = making.connection("conn_id", FILL_IN) or FILL_IN
    if sql is not None and sql.rstrip().endswith(".sql"):
        making.needs.append(f"the query stands in {sql}: copy it here")
    if sql is not None and _TEMPLATE.search(sql):
        making.needs.append("the query holds a template, which a daemon cannot fill: take it out")
    if making.sensor.get("parameters") is not None:
        making.needs.append("the query has parameters: write their values into it")
    making.decided_by_code("success", "failure", "selector")
    watch: dict[str, Any] = {"method": "polling", "query": sql or "SELECT 1"} | _interval(making)
    making.keys["watch"] = watch
    making.notes.append("a change is any other answer of the query, where the sensor waited for one that is true")
    making.notes.append("better where the table has a column that grows: table: ..., watch: {column: updated_at}")


def _interval(making: _Making) -> dict[str, str]:
    value = making.sensor.get("poke_interval")
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 1 <= seconds <= 86_400:
        return {}
    return {"interval": format_duration(timedelta(seconds=round(seconds)))}


def _http(making: _Making) -> None:
    making.keys["source_type"] = "api"
    making.keys["connection"] = making.connection("http_conn_id", "http_default") or FILL_IN
    endpoint = making.text("endpoint") or f"/{FILL_IN}"
    plain, _, query = endpoint.partition("?")
    if query:
        making.needs.append("the endpoint had a query: write it as params")
    if _TEMPLATE.search(plain):
        making.needs.append("the endpoint holds a template, which a daemon cannot fill: take it out")
    making.keys["endpoint"] = plain if plain.startswith("/") or "://" in plain else f"/{plain}"
    if making.sensor.get("method", "GET") != "GET":
        making.needs.append("it did not use GET; only GET is asked here")
    _params(making, "request_params")
    if making.sensor.get("headers") is not None:
        making.needs.append("its headers are not copied, for they may hold secrets: write them with ${VAR}")
    making.decided_by_code("response_check")
    making.keys["watch"] = {"method": "hash"} | _interval(making)


def _params(making: _Making, name: str) -> None:
    given = making.sensor.get(name)
    if given is None:
        return
    plain = isinstance(given, dict) and all(isinstance(v, str | int | float) for v in given.values())
    if not plain or any(is_secret_key(key) or _TEMPLATE.search(str(value)) for key, value in given.items()):
        making.needs.append(f"{name} holds a template, a secret or what is not a constant: write it as params")
    elif given:
        making.keys["params"] = dict(given)


def _s3(making: _Making) -> None:
    making.keys["source_type"] = "filesystem"
    making.keys["connection"] = making.connection("aws_conn_id", "aws_default") or FILL_IN
    key, bucket = making.sensor.get("bucket_key"), making.sensor.get("bucket_name")
    if isinstance(key, tuple) and len(key) == 1:
        key = key[0]
    if isinstance(key, tuple):
        making.needs.append("it waited for several keys: write one source for each")
        key = key[0] if key and isinstance(key[0], str) else UNKNOWN
    if not isinstance(key, str) or not isinstance(bucket, str | None):
        making.needs.append("bucket_key or bucket_name is not a constant in the DAG: fill it in")
        key, bucket = FILL_IN, FILL_IN
    address = key.removeprefix("s3://") if bucket is None else f"{bucket}/{key.lstrip('/')}"
    folder, pattern = _split("/" + address.lstrip("/"))
    making.keys |= {"path": f"s3:/{folder}", "pattern": pattern, "watch": {"interval": "1m"} | _interval(making)}
    _tell_template(making, address)
    if making.sensor.get("use_regex") not in (None, False):
        making.needs.append("bucket_key is a regular expression: write it as a pattern")
    making.decided_by_code("check_fn")


def _external(making: _Making) -> None:
    other = making.text("external_dag_id") or FILL_IN
    if _TEMPLATE.search(other):
        making.needs.append("external_dag_id holds a template: fill it in")
        other = FILL_IN
    task = making.sensor.get("external_task_id") or making.sensor.get("external_task_ids")
    what = f"task {task} of DAG {other}" if isinstance(task, str) else f"DAG {other}"
    making.keys |= {
        "source_type": "api",
        "connection": "airflow_api",
        "endpoint": f"/api/v2/dags/{other}/dagRuns",
        "params": {"state": "success", "order_by": "-id", "limit": 20},
        "watch": {"method": "items", "select": "dag_runs", "key": "dag_run_id"} | _interval(making),
    }
    making.connections.append("airflow_api")
    making.notes.append(
        f"Airflow's own way is better for this: give {what} an outlet, and schedule this DAG on that asset"
    )
    if isinstance(task, str):
        making.notes.append("counted are whole runs that succeeded, not the one task")


_MAKE: Final[Mapping[Kind, Callable[[_Making], None]]] = {
    "file": _file,
    "sql": _sql,
    "http": _http,
    "s3": _s3,
    "external": _external,
}
