"""The flags that commands share."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from watcher.pipeline.values import parse_duration

Config = Annotated[Path | None, typer.Option("-c", "--config", help="Settings file (default: ./watcher.yaml).")]
Environment = Annotated[str | None, typer.Option("--env", help="Which `environments:` block applies.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def duration(text: str) -> timedelta:
    """`10s` and its like for a flag; wrong usage otherwise."""
    try:
        found = parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter("a duration such as 500ms, 10s or 1m") from error
    if not found:
        raise typer.BadParameter("a duration longer than 0s")
    return found
