"""`watcher status`: what every pipeline waits for, read from the store; Airflow is asked only whether it is in step."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from watcher.cli.options import AsJson, Config, Environment
from watcher.cli.reach import airflow_options_of
from watcher.errors import ConfigError, WatcherError
from watcher.pipeline.load import load
from watcher.pipeline.model import Pipeline
from watcher.pipeline.run import batch_name
from watcher.settings import Settings, current_variables, load_settings
from watcher.store import open_store_readonly, pipelines
from watcher.store.pipelines import PipelineOverview

if TYPE_CHECKING:
    from watcher.doctor import Step

Name = Annotated[str | None, typer.Argument(help="One pipeline (default: all).")]
Failing = Annotated[bool, typer.Option("--failing", help="Only what is not well.")]

AIRFLOW_SECONDS = 2.0
"""Longest that the table waits for Airflow: without an answer it is shown without a word about it."""

WELL = ("quiet", "pending", "collecting")


def status(
    pipeline: Name = None,
    config: Config = None,
    env: Environment = None,
    failing: Failing = False,
    as_json: AsJson = False,
) -> None:
    """Show the state, the pending changes and the last run of each pipeline."""
    variables = current_variables()
    settings = load_settings(config, variables, environment=env)
    rows = asyncio.run(_overview(settings.store.url))
    if pipeline is not None:
        rows = tuple(row for row in rows if row.pipeline == pipeline)
        if not rows:
            raise ConfigError(f'the store knows no pipeline "{pipeline}"', code="bad-value")
    steps = asyncio.run(_steps(settings, _defined(settings, variables, {row.pipeline for row in rows})))
    facts = [_facts(row, datetime.now(UTC)) | _step(steps.get(row.pipeline)) for row in rows]
    if failing:
        facts = [fact for fact in facts if fact["state"] not in WELL or fact["in_step"] is False]
    if as_json:
        typer.echo(json.dumps({"pipelines": facts}, default=str))
        return
    _print(facts)


async def _overview(url: str) -> tuple[PipelineOverview, ...]:
    async with open_store_readonly(url) as store:
        return await pipelines.overview(store)


def _defined(settings: Settings, variables: Mapping[str, str], names: set[str]) -> list[Pipeline]:
    """The definitions of these pipelines as their files stand now; none of a file that is refused."""
    if not settings.pipelines.is_dir():
        return []
    loaded = load(settings.pipelines, environment=settings.environment, variables=variables)
    return [file.pipeline for file in loaded.pipelines if file.pipeline.name in names and file.pipeline.enabled]


async def _steps(settings: Settings, defined: list[Pipeline]) -> Mapping[str, Step]:
    """Whether Airflow runs these definitions; empty when it does not say so in time."""
    if not any(pipeline.generated for pipeline in defined):
        return {}
    from watcher.airflow_api import open_airflow
    from watcher.doctor import steps_of

    try:
        options = airflow_options_of(settings, AIRFLOW_SECONDS)
        async with asyncio.timeout(AIRFLOW_SECONDS), open_airflow(options) as api:
            return await steps_of(api, defined)
    except (WatcherError, TimeoutError):
        return {}


def _step(step: Step | None) -> dict[str, Any]:
    """What is told of Airflow: `in_step` is null where it was not learned, or where the DAG is not ours."""
    known = step is not None and step.word in ("in step", "behind")
    return {
        "in_step": step.word == "in step" if step is not None and known else None,
        "definition": step.ours if step is not None else None,
        "airflow_definition": step.airflow if step is not None else None,
        "step_sentence": step.sentence if step is not None else "",
    }


def _facts(row: PipelineOverview, now: datetime) -> dict[str, Any]:
    state, sentence = _state(row, now)
    last = row.last_batch
    return {
        "pipeline": row.pipeline,
        "state": state,
        "sentence": sentence,
        "pending_changes": row.pending_changes,
        "pending_bytes": row.pending_bytes,
        "pending_since": row.pending_oldest,
        "last_batch": batch_name(last.number) if last else None,
        "last_batch_state": last.state if last else None,
        "last_fired_at": last.fired_at if last else None,
        "last_run": last.dag_run_id if last else None,
    }


def _state(row: PipelineOverview, now: datetime) -> tuple[str, str]:
    """The first that applies, worst first, and its sentence."""
    if row.batches.get("parked") and row.parked is not None:
        return "parked", f"{batch_name(row.parked.number)} needs you: {row.parked.detail}"
    bad = next((source for source in row.sources if source.failures), None)
    if bad is not None:
        since = f" since {bad.failing_since:%H:%M}" if bad.failing_since else ""
        return "failing", f"{bad.source_id}: {bad.message}, {bad.failures} times{since}"
    if row.gate_code is not None:
        return "held", f"{row.gate_sentence} {row.pending_changes:,} changes wait."
    if row.batches.get("ready"):
        return "sending", "A batch is on its way to Airflow."
    if row.batches.get("confirmed"):
        return "collecting", f"{row.batches['confirmed']} run open; {row.pending_changes:,} changes wait."
    if row.pending_changes:
        return "pending", f"{row.pending_changes:,} changes wait since {_ago(row.pending_oldest, now)}."
    return "quiet", "Nothing waits."


def _ago(at: datetime | None, now: datetime) -> str:
    if at is None:
        return "never"
    age = max(timedelta(), now - at)
    for unit, seconds in (("d", 86400), ("h", 3600), ("m", 60)):
        if age.total_seconds() >= seconds:
            return f"{age.total_seconds() / seconds:.0f}{unit} ago"
    return f"{age.total_seconds():.0f}s ago"


def _print(facts: list[dict[str, Any]]) -> None:
    now = datetime.now(UTC)
    rows = [("PIPELINE", "STATE", "PENDING", "LAST RUN", "")]
    for fact in facts:
        ran = f"{fact['last_batch']} {fact['last_batch_state']}" if fact["last_batch"] else ""
        pending = f"{fact['pending_changes']:,} changes"
        rows.append((fact["pipeline"], fact["state"], pending, _ago(fact["last_fired_at"], now), ran))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for fact in facts:
        if fact["state"] not in WELL:
            typer.echo(f"  {fact['pipeline']}: {fact['sentence']}")
        if fact["step_sentence"]:
            typer.echo(f"  {fact['pipeline']}: {fact['step_sentence']}.")
    troubled = sum(fact["state"] not in WELL for fact in facts)
    typer.echo(f"{len(facts)} pipelines, {troubled} not well. Read from the store.", err=True)
