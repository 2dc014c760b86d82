"""`watcher doctor`: connects to everything the daemon needs and says what is well, what is not and what to do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from watcher.cli.options import AsJson, Config, Environment, duration
from watcher.cli.reach import airflow_options_of
from watcher.settings import DEFAULT_FILE, current_variables, load_settings

if TYPE_CHECKING:
    from watcher.airflow_api import AirflowOptions
    from watcher.doctor import Finding

FAILED, WARNINGS_ONLY = 4, 5
HEADS = {"settings": "Settings", "store": "Store", "airflow": "Airflow", "dags": "  DAGs"}
SECTIONS = {"connections": "Connections", "sources": "Sources"}
TEXT_COLUMN, VERDICT_COLUMN = 16, 84


class Only(StrEnum):
    """The parts that can be looked at alone."""

    airflow = "airflow"
    store = "store"
    sources = "sources"
    connections = "connections"


Name = Annotated[str | None, typer.Argument(help="Only this pipeline's DAG, connections and sources.")]
OnlyPart = Annotated[Only | None, typer.Option("--only", help="Look at this part alone.")]
Timeout = Annotated[timedelta, typer.Option("--timeout", parser=duration, metavar="10s", help="Longest for each look.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit 5 when there are warnings.")]


def doctor(
    pipeline: Name = None,
    config: Config = None,
    env: Environment = None,
    only: OnlyPart = None,
    timeout: Timeout = timedelta(seconds=10),
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Connect to everything; store nothing, send nothing. Exit 4 when a line FAILED."""
    # Airflow's client and SQLAlchemy take a second to import: the other commands do without
    from watcher.doctor import Examination, examine

    variables = current_variables()
    settings = load_settings(config, variables, environment=env)
    origin = str(config or (DEFAULT_FILE if Path(DEFAULT_FILE).exists() else "the environment"))
    seconds = timeout.total_seconds()

    def options() -> AirflowOptions:
        return airflow_options_of(settings, seconds)

    request = Examination(
        settings, origin, variables, options, pipeline, only.value if only is not None else None, seconds
    )
    findings = asyncio.run(examine(request))
    failures, warnings = (sum(each.verdict == word for each in findings) for word in ("FAILED", "warning"))
    if as_json:
        body = {"findings": [asdict(each) for each in findings], "failed": failures, "warnings": warnings}
        typer.echo(json.dumps(body, indent=2))
    else:
        for line in lines_of(findings):
            typer.echo(line)
    typer.echo(_last(findings, failures, warnings), err=True)
    if failures:
        raise typer.Exit(FAILED)
    if warnings and strict:
        raise typer.Exit(WARNINGS_ONLY)


def lines_of(findings: Iterable[Finding]) -> Iterator[str]:
    """The report: one line a finding, its verdict in one column, advice below it."""
    told = ""
    for finding in findings:
        if finding.part in SECTIONS:
            if finding.part != told:
                yield SECTIONS[finding.part]
            label = f"  {finding.subject}"
        else:
            label = HEADS[finding.part] if finding.part != told else ""
        told = finding.part
        text = finding.text.replace("\n", " ")
        head = f"{label:<{TEXT_COLUMN - 1}} {text}"
        yield f"{head:<{VERDICT_COLUMN - 1}} {finding.verdict}"
        if finding.verdict != "ok" and finding.advice:
            yield f"{'':<{TEXT_COLUMN}}-> {finding.advice}"


def _last(findings: Iterable[Finding], failures: int, warnings: int) -> str:
    if not failures and not warnings:
        return "All is well. Next: watcher run"
    counts: Mapping[str, int] = {"failed": failures, f"warning{'' if warnings == 1 else 's'}": warnings}
    told = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    code = next((each.code for each in findings if each.verdict == "FAILED" and each.code), None)
    return f"{told}. Next: docs/errors.md#{code}" if code else f"{told}. Next: watcher status"
