"""The note of a run, the most-read text of the product: why it ran in one line, then the sources, then one link."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote

from watcher.pipeline.facts import BatchFacts, SourceFacts, batch_name
from watcher.pipeline.figures import size

NOTE_LIMIT: Final = 1000
"""Characters that Airflow takes; one more and there is no run."""

HEADLINE_LIMIT: Final = 80

_ID_LENGTH: Final = 48
_MOST_ROWS: Final = 50
_LIMIT: Final = re.compile(
    r"(?:(?P<source>\S+) )?(?P<measure>changes|bytes|files) [\d.]+(?: \w+)? >= (?P<limit>[\d.]+(?: [kMGTP]?B)?)"
    r"(?P<within> within .+)?"
)
_WAITED: Final = re.compile(r"max_wait (?P<span>[^,]+)")
_SETTLED: Final = re.compile(r"settle (?P<span>[^,]+)")
_MARKDOWN: Final = re.compile(r"([\\`*\[\]<>|#!~&$:{}]|(?<![^\W_])_|_(?![^\W_]))")
_TABLE: Final = "| source | changes | size | of these |\n|---|---:|---:|---|"


def build_note(facts: BatchFacts, url: str | None) -> str:
    """Markdown of at most 1,000 characters: a first line of at most 80, a table of the sources, the batch as a link.

    Rows that do not fit are counted in one line; the link always fits where `url` has at most 800 characters.
    """
    head, link = _headline(facts), _link(facts, url)
    rows = [_row(source) for source in sorted(facts.sources, key=lambda source: (-source.changes, source.source_id))]
    for shown in range(min(len(rows), _MOST_ROWS), -1, -1):
        note = "\n\n".join(_blocks(head, rows, shown, link))
        if len(note) <= NOTE_LIMIT:
            return note
    return head


def _blocks(head: str, rows: list[str], shown: int, link: str) -> Iterator[str]:
    yield head
    if shown:
        yield "\n".join([_TABLE, *rows[:shown]])
    left = len(rows) - shown
    if left:
        yield f"{'and ' if shown else ''}{left}{' more' if shown else ''} source{'' if left == 1 else 's'}"
    yield link


def _row(source: SourceFacts) -> str:
    of_these = ", ".join(f"{inline(operation)} {count:,}" for operation, count in source.operations.items() if count)
    return f"| {inline(source.source_id)} | {source.changes:,} | {size(source.bytes)} | {of_these} |"


def _link(facts: BatchFacts, url: str | None) -> str:
    name = batch_name(facts.number)
    if url is None:
        return f"Batch {name} of {inline(facts.pipeline)}"
    return f"[Why {name} ran]({quote(url, safe=_URL_SAFE)})"


_URL_SAFE: Final = ":/?#@!$&'*+,;=%~-._"


def inline(value: str) -> str:
    """A name as plain text inside Markdown: one line, no markup, at most 48 characters before escaping."""
    line = " ".join("".join(character if character.isprintable() else " " for character in value).split())
    if len(line) > _ID_LENGTH:
        line = f"{line[: _ID_LENGTH - 1]}…"
    return _MARKDOWN.sub(r"\\\1", line)


# -- the first line ----------------------------------------------------------------------------------------------------


def _headline(facts: BatchFacts) -> str:
    """The fullest of several ways to say it that fits."""
    return next(line for line in _headlines(facts) if len(line) <= HEADLINE_LIMIT)


def _headlines(facts: BatchFacts) -> Iterator[str]:
    limits = [_LIMIT.fullmatch(part) for part in facts.reason.split(" and ")]
    parts = [_branch(facts, limit) for limit in limits]
    if all(parts):
        yield " and ".join(f"{amount} (limit {limit})" for amount, limit in filter(None, parts))
        if len(parts) > 1:
            yield " and ".join(amount for amount, _ in filter(None, parts)) + " (limits met)"
    measure = limits[0]["measure"] if limits[0] is not None else "changes"
    amount, why = _amount(facts.sources, measure), _why(facts, limits)
    for where in _places(facts.sources):
        yield f"{amount}{where} ({why})"
    for where in _places(facts.sources):
        yield f"{amount}{where}"


def _branch(facts: BatchFacts, limit: re.Match[str] | None) -> tuple[str, str] | None:
    """A limit on one source, as what that source gave; None for anything else."""
    sources = [source for source in facts.sources if limit is not None and source.source_id == limit["source"]]
    if limit is None or not sources:
        return None
    return f"{_amount(sources, limit['measure'])} in {inline(sources[0].source_id)}", _asked(limit)


def _why(facts: BatchFacts, limits: list[re.Match[str] | None]) -> str:
    waited, settled = _WAITED.match(facts.reason), _SETTLED.match(facts.reason)
    if len(limits) == 1 and limits[0] is not None:
        return f"limit {_asked(limits[0])}"
    if limits[0] is not None:
        return "limits met"
    if waited is not None:
        return f"waited {waited['span']}" if waited.end() == len(facts.reason) else "the clock was set back"
    if settled is not None:
        return f"quiet for {settled['span']}"
    return inline(facts.reason) or "no reason given"


def _asked(limit: re.Match[str]) -> str:
    number = limit["limit"]
    return (f"{int(number):,}" if number.isdigit() else number) + (limit["within"] or "")


def _amount(sources: Iterable[SourceFacts], measure: str) -> str:
    sources = tuple(sources)
    if measure == "bytes":
        return size(sum(source.bytes for source in sources))
    files = sum(len({file.path for file in source.files}) for source in sources)
    if measure == "files" and files:
        return f"{files:,} file{'' if files == 1 else 's'}"
    changes = sum(source.changes for source in sources)
    return f"{changes:,} change{'' if changes == 1 else 's'}"


def _places(sources: Iterable[SourceFacts]) -> Iterator[str]:
    names = [inline(source.source_id) for source in sources if source.changes]
    if 0 < len(names) <= 3:
        yield " in " + " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    if names:
        yield f" in {len(names)} source{'' if len(names) == 1 else 's'}"
    yield ""
