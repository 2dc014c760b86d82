"""Where a reader stands in a DAG file: what names mean so far, and which DAG and task groups are open."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from watcher.adopt.found import DagRef
from watcher.adopt.imports import Names
from watcher.adopt.values import UNKNOWN, evaluate

MOST_ROUNDS = 200


class Place:
    """One place in a file. Statements move it on; expressions are read against it."""

    def __init__(self) -> None:
        self.names = Names()
        self.scope: dict[str, Any] = {}
        self.dags: dict[str, DagRef] = {}
        self.tasks: dict[str, tuple[str, ...]] = {}
        self.open: list[DagRef] = []
        self.groups: list[str] = []

    def worth(self, node: ast.expr | None) -> Any:
        """The value of an expression, UNKNOWN where only running the file would tell."""
        return evaluate(node, self.scope, self.names.of)

    def keyword(self, node: ast.expr, name: str, default: Any) -> Any:
        """A keyword argument of a call."""
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg == name:
                    return self.worth(keyword.value)
        return default

    def keywords(self, node: ast.Call) -> dict[str, Any]:
        """All keyword arguments of a call, those of `**mapping` too where it is known."""
        found: dict[str, Any] = {}
        for keyword in node.keywords:
            worth = self.worth(keyword.value)
            if keyword.arg is not None:
                found[keyword.arg] = worth
            elif isinstance(worth, dict):
                found |= worth
        return found

    def in_group(self, task_id: Any) -> str:
        """The whole id of a task: its task groups go before it."""
        return ".".join([*(group for group in self.groups if group), str(task_id)])

    def dag_for(self, node: ast.Call) -> DagRef | None:
        """The DAG that a task belongs to: the one it names, else the one that is open."""
        given = next((each.value for each in node.keywords if each.arg == "dag"), None)
        if given is not None:
            return self.named_dag(given)
        return self.open[-1] if self.open else None

    def named_dag(self, node: ast.expr) -> DagRef | None:
        return self.dags.get(node.id) if isinstance(node, ast.Name) else None

    def dag_of(self, node: ast.expr) -> DagRef | None:
        """The DAG that an expression makes."""
        name = self.names.of(node.func) if isinstance(node, ast.Call) else ""
        return self.reference(node, None) if name.startswith("airflow.") and name.endswith(".DAG") else None

    def reference(self, node: ast.expr, otherwise: str | None) -> DagRef:
        """The DAG of a call of `DAG` or `dag`; `otherwise` is its id when it is given none."""
        dag_id: Any = self.keyword(node, "dag_id", otherwise)
        if isinstance(node, ast.Call) and node.args:
            dag_id = self.worth(node.args[0])
        defaults = self.keyword(node, "default_args", {})
        return DagRef(dag_id if isinstance(dag_id, str) else None, defaults if isinstance(defaults, dict) else {})

    def group_of(self, node: ast.expr) -> str | None:
        """What a task group puts before its tasks; None for anything else."""
        if not isinstance(node, ast.Call) or not self.names.of(node.func).endswith(".TaskGroup"):
            return None
        if self.keyword(node, "prefix_group_id", True) is False:
            return ""
        given = self.worth(node.args[0]) if node.args else self.keyword(node, "group_id", "")
        return given if isinstance(given, str) else "?"

    def decorates(self, node: ast.expr) -> str:
        """`dag`, `task_group` or `task.sensor`, empty for any other decorator."""
        name = self.names.of(node.func if isinstance(node, ast.Call) else node)
        for known in ("task.sensor", "task_group", "dag"):
            if name.startswith("airflow.") and name.endswith(f".{known}"):
                return known
        return ""

    @contextmanager
    def inside(self, hidden: dict[str, Any]) -> Iterator[None]:
        """A function's body: its own names are forgotten after it."""
        kept = self.scope, self.tasks, self.open, self.groups
        self.scope, self.tasks = self.scope | hidden, dict(self.tasks)
        self.open, self.groups = list(self.open), list(self.groups)
        yield
        self.scope, self.tasks, self.open, self.groups = kept

    def rounds(self, target: ast.expr, iterated: ast.expr) -> Iterator[None]:
        """One round for each value where they are constants, else one round in which they are unknown."""
        values = self.worth(iterated)
        if (
            isinstance(iterated, ast.Call)
            and isinstance(iterated.func, ast.Attribute)
            and iterated.func.attr == "items"
        ):
            values = self.worth(iterated.func.value)
            values = tuple(values.items()) if isinstance(values, dict) else UNKNOWN
        if not isinstance(values, tuple | dict) or len(values) > MOST_ROUNDS:
            values = (UNKNOWN,)
        for value in values:
            self._unpack(target, value)
            yield

    def _unpack(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            self.scope[target.id] = value
        elif isinstance(target, ast.Tuple | ast.List):
            fits = isinstance(value, tuple) and len(value) == len(target.elts)
            for place, inner in enumerate(target.elts):
                self._unpack(inner, value[place] if fits else UNKNOWN)
