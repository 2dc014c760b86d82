"""A problem of a pipeline file as a value: where it is, what it is, how to mend it, and its spellings for people and programs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from watcher.detection import Json
from watcher.errors import CODES

Severity = Literal["error", "warning"]
_WIDEST = 400


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `line` and `column` count from 1, in characters; `width` is the length of the caret.

    `text` is the source line, or empty where no line can be shown; literal secrets in it are masked already.
    """

    path: Path
    line: int
    column: int
    code: str
    message: str
    hint: str = ""
    severity: Severity = "error"
    text: str = ""
    width: int = 1

    @property
    def advice(self) -> str:
        """What to do: the hint of this very place, else the one of its code."""
        return self.hint or CODES[self.code].hint

    def render(self) -> str:
        """The problem as a compiler would print it: the place and the fact, the line, and a caret with the way out."""
        head = (
            f"{printable(self.path.as_posix())}:{self.line}:{self.column}: {self.severity}[{self.code}]: {self.message}"
        )
        if not self.text.strip():
            return f"{head}\n   = {self.advice}"
        number, gutter = str(self.line), " " * len(str(self.line))
        text, pad, width = self._shown()
        return f"{head}\n{gutter} |\n{number} | {text}\n{gutter} | {pad}{'^' * width} {self.advice}".rstrip()

    def _shown(self) -> tuple[str, str, int]:
        """The line without control characters; a very long one only around the caret."""
        start = max(0, self.column - 1 - _WIDEST // 2) if len(self.text) > _WIDEST else 0
        text = printable(self.text[start : start + _WIDEST])
        before = text[: self.column - 1 - start]
        width = max(1, min(self.width, len(text) - len(before)))
        return text.rstrip(), "".join("\t" if letter == "\t" else " " for letter in before), width

    def as_json(self) -> dict[str, Json]:
        """The problem as JSON; the keys are stable."""
        return asdict(self) | {"path": self.path.as_posix(), "hint": self.advice}

    def as_github(self) -> str:
        """The problem as an annotation for GitHub's own checks."""
        where = f"file={_property(self.path.as_posix())},line={self.line},col={self.column},endColumn={self.column + self.width}"
        return f"::{self.severity} {where},title={self.code}::{_data(f'{self.message}. {self.advice}')}"


def summary(problems: Iterable[Problem], files: int, valid: int) -> str:
    """The last line below the problems: how many there are, in how many of `files`, and that the `valid` ones would run."""
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = sum(problem.severity == "warning" for problem in problems)
    noticed = f" {_count(warnings, 'warning')}." if warnings else ""
    if not errors:
        return f"{_count(files, 'file')}, all valid.{noticed}"
    rest = {0: "None of them would run.", 1: "The other one is valid and would run."}
    others = rest.get(valid, f"The other {valid} are valid and would run.") if files > 1 else "It would not run."
    return f"{_count(errors, 'error')} in {files - valid} of {_count(files, 'file')}. {others}{noticed}"


def printable(text: str) -> str:
    """Text that cannot move the cursor of a terminal; its length stays the same."""
    return "".join(letter if letter.isprintable() or letter == "\t" else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
