"""What people read about a generated DAG: one Markdown page made of its pipeline file alone, the same at every parse."""

from __future__ import annotations

from watcher.pipeline.definition import definition_line
from watcher.pipeline.model import Branch, DatabaseSource, FilesystemSource, Pipeline, Source, Trigger
from watcher.pipeline.values import format_duration, format_size


def page(pipeline: Pipeline, file: str, public_url: str | None) -> str:
    """Markdown: where the DAG comes from, when it runs, its sources, the link to its status page, its fingerprint."""
    parts = [
        f"Made from `{file}`: edit that file, not this DAG.",
        _plain(pipeline.description or ""),
        f"**When:** {_sentence(pipeline)}",
        "\n".join(
            ["| source | type | watched | reads |", "|---|---|---|---|", *(_row(source) for source in pipeline.sources)]
        ),
        f"[Status of {pipeline.name}]({public_url.rstrip('/')}/pipelines/{pipeline.name})" if public_url else "",
        definition_line(pipeline.fingerprint),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _sentence(pipeline: Pipeline) -> str:
    clock = f"at `{pipeline.schedule}`" if pipeline.schedule else ""
    change = when(pipeline.trigger) if pipeline.trigger and pipeline.watched else ""
    return "; and ".join(part for part in (change, clock) if part) or "by hand only"


def when(trigger: Trigger) -> str:
    """A trigger as one sentence.

    >>> from datetime import timedelta
    >>> when(Trigger(changes=1000, max_wait=timedelta(minutes=10)))
    'after 1,000 changes, or 10m after the first'
    """
    limits = _limits(trigger)
    told = [f"after {limits}"] if limits else []
    if trigger.settle:
        told = [*(told or ["after a change"]), f"once nothing has arrived for {format_duration(trigger.settle)}"]
    if trigger.max_wait is not None:
        wait = f"{format_duration(trigger.max_wait)} after the first"
        told.append(f"or {wait}" if told else f"{wait} change")
    if trigger.cooldown:
        told.append(f"at least {format_duration(trigger.cooldown)} apart")
    return ", ".join(told)


def _limits(limits: Trigger | Branch) -> str:
    if limits.any is not None:
        return " or ".join(_inner(branch) for branch in limits.any)
    if limits.all is not None:
        return " and ".join(_inner(branch) for branch in limits.all)
    counts = (
        _count(limits.changes, "change"),
        format_size(limits.bytes) if limits.bytes is not None else "",
        _count(limits.files, "file"),
    )
    text = " or ".join(count for count in counts if count)
    return f"{text} within {format_duration(limits.within)}" if limits.within is not None else text


def _inner(branch: Branch) -> str:
    text = _limits(branch)
    nested = branch.any is not None or branch.all is not None
    return f"({text})" if nested else f"{text} in {branch.source}" if branch.source else text


def _count(count: int | None, word: str) -> str:
    return "" if count is None else f"{count:,} {word}{'' if count == 1 else 's'}"


def _row(source: Source) -> str:
    watch = source.watch if source.enabled else None
    column = getattr(watch, "column", None)
    watched = (
        "no"
        if watch is None
        else f"{watch.method}{f' on `{column}`' if column else ''}, every {format_duration(watch.interval)}"
    )
    cells = (source.source_id, source.source_type, watched, _reads(source))
    return f"| {' | '.join(_plain(cell) for cell in cells)} |"


def _reads(source: Source) -> str:
    if isinstance(source, DatabaseSource):
        return ", ".join(source.all_tables) or ("a query" if source.query else "all tables")
    return source.pattern if isinstance(source, FilesystemSource) else ""


def _plain(text: str) -> str:
    """Text of a file that must not become a table's border or a tag."""
    return text.replace("\n", " ").replace("|", "\\|").replace("<", "&lt;")
