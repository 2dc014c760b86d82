"""The mark that ties a generated DAG to its definition: written into the DAG's page, read back from Airflow."""

from __future__ import annotations

import re

LENGTH = 16
_LINE = re.compile(rf"^Definition `([0-9a-f]{{{LENGTH}}})`[ \t]*$", re.MULTILINE)


def mark(fingerprint: str) -> str:
    """The short form of a fingerprint that people and Airflow see."""
    return fingerprint[:LENGTH]


def definition_line(fingerprint: str) -> str:
    """The last line of a generated DAG's page."""
    return f"Definition `{mark(fingerprint)}`"


def read_mark(page: str | None) -> str | None:
    """The mark of a DAG's page; None for a page that is not one of ours. The last line counts: texts of people stand above.

    >>> read_mark("Loads orders.\\n\\n" + definition_line("0123456789abcdef" * 4))
    '0123456789abcdef'
    """
    found = _LINE.findall(page or "")
    return found[-1] if found else None
