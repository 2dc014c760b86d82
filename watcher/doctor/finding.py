"""One line of the doctor's report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from watcher.errors import CODES, WatcherError

Verdict = Literal["ok", "warning", "FAILED"]
Part = Literal["settings", "store", "airflow", "dags", "connections", "sources"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found at one part, or at `subject` within it: a sentence, a verdict, the code and what to do about it."""

    part: Part
    text: str
    verdict: Verdict = "ok"
    subject: str = ""
    pipeline: str | None = None
    code: str | None = None
    advice: str = ""


def failed(part: Part, error: WatcherError, *, subject: str = "", pipeline: str | None = None) -> Finding:
    """The finding for an error of ours, its fix as advice."""
    return Finding(part, str(error), "FAILED", subject, pipeline, error.code, CODES[error.code].hint)


def warning(part: Part, text: str, advice: str, *, subject: str = "", code: str | None = None) -> Finding:
    """A finding that does not keep the daemon from working."""
    return Finding(part, text, "warning", subject, code=code, advice=advice)
