"""What an expression of a DAG file is worth without running it: constants and what is put together from them."""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

LONGEST = 100_000


class _Unknown:
    """A value that only running the file would tell."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown()
Scope = Mapping[str, Any]


def evaluate(node: ast.expr | None, scope: Scope, names: Callable[[ast.expr], str]) -> Any:
    """The value as text, number, bool, None, timedelta, tuple or dict, else UNKNOWN. `names` tells what a callee is called."""
    match node:
        case ast.Constant(value=str() | int() | float() | None as value):
            return value
        case ast.Name(id=name):
            return scope.get(name, UNKNOWN)
        case ast.JoinedStr(values=parts):
            return _joined([_part(part, scope, names) for part in parts])
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
            found = tuple(evaluate(item, scope, names) for item in items)
            return UNKNOWN if UNKNOWN in found else found
        case ast.Dict():
            return _dict(node, scope, names)
        case ast.BinOp(left=left, op=operator, right=right):
            return _combined(operator, evaluate(left, scope, names), evaluate(right, scope, names))
        case ast.Call():
            return _called(node, scope, names)
    return UNKNOWN


def _part(node: ast.expr, scope: Scope, names: Callable[[ast.expr], str]) -> Any:
    plain = isinstance(node, ast.FormattedValue) and node.format_spec is None and node.conversion == -1
    return evaluate(node.value if isinstance(node, ast.FormattedValue) and plain else node, scope, names)


def _joined(parts: list[Any]) -> Any:
    known = all(isinstance(part, str | int | float) for part in parts)
    text = "".join(str(part) for part in parts)
    return text if known and len(text) <= LONGEST else UNKNOWN


def _dict(node: ast.Dict, scope: Scope, names: Callable[[ast.expr], str]) -> Any:
    """A dict whose keys are known; a value may be UNKNOWN, so that one unknown default hides no other."""
    found: dict[str, Any] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        inner = evaluate(value, scope, names)
        if key is None:
            if not isinstance(inner, dict):
                return UNKNOWN
            found |= inner
            continue
        name = evaluate(key, scope, names)
        if not isinstance(name, str):
            return UNKNOWN
        found[name] = inner
    return found


def _combined(operator: ast.operator, left: Any, right: Any) -> Any:
    texts = isinstance(left, str) and isinstance(right, str)
    numbers = _is_number(left) and _is_number(right)
    if isinstance(operator, ast.Add) and (texts or numbers or (isinstance(left, tuple) and isinstance(right, tuple))):
        total = left + right
        return total if not isinstance(total, str | tuple) or len(total) <= LONGEST else UNKNOWN
    if isinstance(operator, ast.Div) and texts:  # paths are texts here
        return posixpath.join(left, right)
    if isinstance(operator, ast.Mult) and numbers and abs(left) < LONGEST and abs(right) < LONGEST:
        return left * right
    return UNKNOWN


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _called(node: ast.Call, scope: Scope, names: Callable[[ast.expr], str]) -> Any:
    positional = [evaluate(each, scope, names) for each in node.args]
    named = {each.arg: evaluate(each.value, scope, names) for each in node.keywords}
    if UNKNOWN in positional or UNKNOWN in named.values() or None in named:
        return UNKNOWN
    match names(node.func):
        case "datetime.timedelta":
            return _timedelta(positional, named)
        case "pathlib.Path" | "pathlib.PurePath" | "str" if len(positional) == 1 and isinstance(positional[0], str):
            return positional[0]
        case "os.path.join" if positional and all(isinstance(each, str) for each in positional):
            return posixpath.join(*positional)
        case "dict" if not positional:
            return named
    return UNKNOWN


def _timedelta(positional: list[Any], named: Mapping[Any, Any]) -> Any:
    try:
        return timedelta(*positional, **named)
    except (TypeError, ValueError, OverflowError):
        return UNKNOWN
