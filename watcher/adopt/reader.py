"""Reads one DAG file as a tree, statement by statement, and keeps the Airflow sensors it makes. Nothing of it is run."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from watcher.adopt.found import AirflowSensor, Untranslated
from watcher.adopt.imports import is_sensor, kind_of
from watcher.adopt.place import Place
from watcher.adopt.values import UNKNOWN

MOST_FOUND = 1_000
LARGEST_FILE = 2_000_000


def read_dags(path: Path, shown: Path) -> tuple[list[AirflowSensor], list[Untranslated]]:
    """The Airflow sensors of a file, and what is one and could not be read. `shown` names the file for people."""
    try:
        content = path.read_bytes()
        if b"ensor" not in content:  # nearly all files: there is nothing to wait for in them
            return [], []
        if len(content) > LARGEST_FILE:
            return [], [Untranslated(shown, 1, "the file", "it is larger than 2 MB")]
        reader = _Statements(shown)
        reader.read(ast.parse(content, filename=str(shown)).body)
    except OSError as error:
        return [], [Untranslated(shown, 1, "the file", f"it cannot be read: {error.strerror}")]
    except (SyntaxError, ValueError) as error:
        return [], [Untranslated(shown, getattr(error, "lineno", None) or 1, "the file", "it is not valid Python")]
    except (RecursionError, MemoryError):
        return [], [Untranslated(shown, 1, "the file", "it is nested too deeply")]
    return reader.result()


class _Expressions:
    """Reads the calls in expressions, and which task stands before which."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._at = Place()
        self._found: dict[str, AirflowSensor] = {}
        self._before: list[tuple[str, str]] = []
        self._failed: dict[tuple[int, str], Untranslated] = {}

    def result(self) -> tuple[list[AirflowSensor], list[Untranslated]]:
        """What was found, each with the tasks before it that do not wait themselves."""
        sensors = [replace(sensor, after=self._tasks_before(key)) for key, sensor in self._found.items()]
        return sensors, list(self._failed.values())

    def _tasks_before(self, key: str) -> tuple[str, ...]:
        return tuple(sorted({first for first, then in self._before if then == key and first not in self._found}))

    def expression(self, node: ast.expr) -> tuple[str, ...]:
        """Reads every call in an expression; answers the tasks that it stands for, as `dag_id.task_id`."""
        match node:
            case ast.Name(id=name):
                return self._at.tasks.get(name, ())
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return tuple(task for item in items for task in self.expression(item))
            case ast.BinOp(left=left, op=ast.RShift() | ast.LShift() as arrow, right=right):
                return self._ordered(self.expression(left), self.expression(right), isinstance(arrow, ast.RShift))
            case ast.ListComp(elt=made, generators=[one]):
                self.expression(one.iter)
                return tuple(task for _ in self._at.rounds(one.target, one.iter) for task in self.expression(made))
            case ast.Call():
                return self._call(node)
            case ast.Lambda():
                return ()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.expression(child)
        return ()

    def _ordered(self, left: tuple[str, ...], right: tuple[str, ...], forward: bool) -> tuple[str, ...]:
        first, then = (left, right) if forward else (right, left)
        self._before += [(a, b) for a in first for b in then]
        return right

    def _call(self, node: ast.Call) -> tuple[str, ...]:
        name = self._at.names.of(node.func)
        if is_sensor(name):
            return self._sensor(node, name)
        if isinstance(node.func, ast.Attribute):
            mapped = self._at.names.of(node.func.value)
            if node.func.attr == "partial" and is_sensor(mapped):
                self._fail(node.lineno, mapped.rpartition(".")[2], "it is mapped: what over is known at run time only")
                return ()
            self.expression(node.func.value)
        for each in (*node.args, *(keyword.value for keyword in node.keywords)):
            self.expression(each)
        task_id, dag = self._at.keyword(node, "task_id", None), self._at.dag_for(node)
        return (f"{dag.dag_id}.{self._at.in_group(task_id)}",) if isinstance(task_id, str) and dag else ()

    def _sensor(self, node: ast.Call, name: str) -> tuple[str, ...]:
        short, kind, dag = name.rpartition(".")[2], kind_of(name), self._at.dag_for(node)
        task_id = self._at.keyword(node, "task_id", None)
        what = f"{short} {task_id}" if isinstance(task_id, str) else short
        if kind is None:
            self._fail(node.lineno, what, self._at.names.why_not(name))
        elif dag is None:
            self._fail(node.lineno, what, "which DAG it belongs to is not known without running the file")
        elif dag.dag_id is None:
            self._fail(node.lineno, what, "the id of its DAG is not a constant")
        elif not isinstance(task_id, str):
            self._fail(node.lineno, what, "its task_id is not a constant")
        elif len(self._found) >= MOST_FOUND:
            self._fail(node.lineno, what, f"there are more than {MOST_FOUND:,} in this file")
        else:
            whole = self._at.in_group(task_id)
            key = f"{dag.dag_id}.{whole}"
            arguments = {**dag.defaults, **self._at.keywords(node)}
            self._found[key] = AirflowSensor(kind, short, dag.dag_id, whole, arguments, self._file, node.lineno)
            return (key,)
        return ()

    def _fail(self, line: int, what: str, why: str) -> None:
        self._failed.setdefault((line, what), Untranslated(self._file, line, what, why))


class _Statements(_Expressions):
    """Reads statements in their order. Of branches all are read, for which of them runs is not known."""

    def read(self, body: Sequence[ast.stmt]) -> None:
        """A block."""
        for statement in body:
            self._statement(statement)

    def _statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Import() | ast.ImportFrom():
                self._at.names.take(node)
            case ast.Assign(targets=targets, value=value):
                self._assign(targets, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._assign([target], value)
            case ast.With() | ast.AsyncWith():
                self._with(node)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._function(node)
            case ast.ClassDef():
                self._at.names.own_class(node)
            case ast.For(target=target, iter=iterated, body=body, orelse=rest):
                self.expression(iterated)
                for _ in self._at.rounds(target, iterated):
                    self.read(body)
                self.read(rest)
            case _:
                self._parts(node)

    def _parts(self, node: ast.AST) -> None:
        """Any other statement, a handler of exceptions, a case: its expressions, then its blocks."""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                self._statement(child)
            elif isinstance(child, ast.expr):
                self.expression(child)
            else:
                self._parts(child)

    def _assign(self, targets: Sequence[ast.expr], value: ast.expr) -> None:
        dag = self._at.dag_of(value)
        tasks = () if dag else self.expression(value)
        worth = self._at.worth(value)
        for target in targets:
            if not isinstance(target, ast.Name):
                self._forget(target)
                continue
            self._at.scope[target.id] = worth
            self._at.tasks[target.id] = tasks
            if dag is not None:
                self._at.dags[target.id] = dag

    def _forget(self, target: ast.expr) -> None:
        for name in ast.walk(target):
            if isinstance(name, ast.Name):
                self._at.scope[name.id] = UNKNOWN
                self._at.tasks.pop(name.id, None)

    def _with(self, node: ast.With | ast.AsyncWith) -> None:
        dags, groups = len(self._at.open), len(self._at.groups)
        for item in node.items:
            dag = self._at.dag_of(item.context_expr) or self._at.named_dag(item.context_expr)
            if dag is not None:
                self._at.open.append(dag)
                if isinstance(item.optional_vars, ast.Name):
                    self._at.dags[item.optional_vars.id] = dag
            elif (group := self._at.group_of(item.context_expr)) is not None:
                self._at.groups.append(group)
            else:
                self.expression(item.context_expr)
        self.read(node.body)
        del self._at.open[dags:], self._at.groups[groups:]

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        made = [(each, kind) for each in node.decorator_list if (kind := self._at.decorates(each))]
        if any(kind == "task.sensor" for _, kind in made):
            self._fail(node.lineno, f"@task.sensor {node.name}", "what a function of your own decides cannot be read")
            return
        arguments = node.args
        hidden = {each.arg: UNKNOWN for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
        with self._at.inside(hidden):
            if not made:  # who calls it, and within which DAG, is not known
                self._at.open = []
            for each, kind in made:
                if kind == "dag":
                    self._at.open.append(self._at.reference(each, node.name))
                else:
                    self._at.groups.append(str(self._at.keyword(each, "group_id", node.name)))
            self.read(node.body)
