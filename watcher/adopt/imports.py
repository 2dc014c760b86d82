"""What the names of a DAG file stand for, as far as its imports tell."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Final

from watcher.adopt.found import Kind

KINDS: Final[Mapping[str, Kind]] = {
    "FileSensor": "file",
    "SqlSensor": "sql",
    "HttpSensor": "http",
    "S3KeySensor": "s3",
    "ExternalTaskSensor": "external",
}
"""Class name -> what it waits for. The classes moved through several modules; their names stayed."""

_OF_AIRFLOW = ("airflow.", "astronomer.")
_OWN = "<own>."
_WHY: Final[Mapping[str, str]] = {
    "PythonSensor": "what a function of your own decides cannot be read",
    "BashSensor": "what a command decides cannot be read",
    "TimeSensor": "it waits for a time: give the DAG a schedule",
    "TimeDeltaSensor": "it waits for a time: give the DAG a schedule",
    "DateTimeSensor": "it waits for a time: give the DAG a schedule",
    "DayOfWeekSensor": "it waits for a day: give the DAG a schedule",
}


def is_sensor(name: str) -> bool:
    """Whether a class of this full name is an Airflow sensor."""
    short = name.rpartition(".")[2].removesuffix("Async")
    return short.endswith("Sensor") and short not in ("Sensor", "BaseSensor")


def kind_of(name: str) -> Kind | None:
    """What a class of this full name waits for; None for one that has no equivalent."""
    return KINDS.get(name.rpartition(".")[2].removesuffix("Async")) if name.startswith(_OF_AIRFLOW) else None


class Names:
    """The imports and classes of one file so far."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def take(self, node: ast.Import | ast.ImportFrom) -> None:
        """One import statement; relative ones and `*` say nothing."""
        for alias in node.names:
            if isinstance(node, ast.Import):
                self._names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
            elif alias.name != "*":
                module = "." if node.level else f"{node.module}."
                self._names[alias.asname or alias.name] = f"{module}{alias.name}"

    def own_class(self, node: ast.ClassDef) -> None:
        """A class made in this file."""
        self._names[node.name] = f"{_OWN}{node.name}"

    def of(self, node: ast.expr) -> str:
        """The full name of what is called, such as `airflow.sdk.DAG`; empty when it has none."""
        if isinstance(node, ast.Name):
            return self._names.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            before = self.of(node.value)
            return f"{before}.{node.attr}" if before else ""
        return ""

    def why_not(self, name: str) -> str:
        """Why a class that waits has no equivalent."""
        short = name.rpartition(".")[2].removesuffix("Async")
        if name.startswith(_OWN) or (short in KINDS and name.startswith(".")):
            return "it is a class of your own"
        if name.startswith(_OF_AIRFLOW):
            return _WHY.get(short, "no kind of source waits for this")
        if short in KINDS:
            return "where the class comes from is not seen"
        return _WHY.get(short, "it is a class of your own")
