"""`${VAR}` and its like, expanded after parsing and in values only, so that no variable can add a key or a list item."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from watcher.pipeline.base import from_variable
from watcher.pipeline.problems import Problem
from watcher.pipeline.tree import Entry, Fields, Items, Place, Scalar, Tree

_LONGEST: Final = 64 * 1024
_REFERENCE: Final = re.compile(
    r"\$(?:(?P<dollar>\$)|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::(?P<how>[-?])(?P<rest>[^{}]*))?\}|(?P<bad>\{))"
)


@dataclass(slots=True)
class Expander:
    """Expands trees and gathers what is wrong. With `lenient` an undefined variable is no problem, only a blank.

    `blanks` are the places whose value is not known: nothing can be said about what stands there.
    """

    variables: Mapping[str, str]
    lenient: bool = False
    problems: list[Problem] = field(default_factory=list)
    blanks: set[Place] = field(default_factory=set)

    def expand(self, tree: Tree) -> Tree:
        """The tree with every reference replaced."""
        if isinstance(tree, Fields):
            entries = {key: Entry(entry.place, self.expand(entry.value)) for key, entry in tree.entries.items()}
            return replace(tree, entries=entries)
        if isinstance(tree, Items):
            return replace(tree, items=tuple(self.expand(item) for item in tree.items))
        return self._scalar(tree) if isinstance(tree.value, str) and "$" in tree.value else tree

    def _scalar(self, scalar: Scalar) -> Scalar:
        written = str(scalar.value)
        names = [found["name"] for found in _REFERENCE.finditer(written) if found["name"]]
        text = _REFERENCE.sub(lambda found: self._value(found, scalar), written)
        if len(text) > _LONGEST:
            self._refuse(
                scalar, "bad-value", "the value of a variable is longer than 64 KiB", names[0] if names else ""
            )
        return replace(scalar, value=from_variable(text[:_LONGEST], written) if names else text)

    def _value(self, found: re.Match[str], scalar: Scalar) -> str:
        if found["dollar"]:
            return "$"
        name = found["name"]
        if found["bad"]:
            self._refuse(
                scalar,
                "bad-value",
                "not a reference to a variable",
                "",
                "write ${NAME}, ${NAME:-default}, ${NAME:?message}, or $${",
            )
            return ""
        value = self.variables.get(name)
        if value is not None and (value or not found["how"]):
            return value
        if found["how"] == "-":
            return str(found["rest"])
        said = f": {found['rest']}" if found["rest"] else ""
        hint = f"set {name}" if said else f"set it, or write ${{{name}:-default}}"
        self._refuse(scalar, "undefined-variable", f"variable {name} is not set{said}", name, hint)
        return ""

    def _refuse(self, scalar: Scalar, code: str, message: str, name: str, hint: str = "") -> None:
        self.blanks.add(scalar.place)
        if self.lenient:
            return
        place = scalar.place
        start = place.text.find(f"${{{name}", place.column - 1)
        if start >= 0:
            end = place.text.find("}", start)
            place = replace(place, column=start + 1, width=(end if end > 0 else len(place.text) - 1) - start + 1)
        self.problems.append(place.problem(code, message, hint))
