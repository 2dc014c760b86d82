"""`watcher status`: what every pipeline waits for, read from the store, whether or not the daemon runs."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from watcher.cli.options import AsJson, Config, Environment
from watcher.errors import ConfigError
from watcher.pipeline.run import batch_name
from watcher.settings import current_variables, load_settings
from watcher.store import open_store_readonly, pipelines
from watcher.store.pipelines import PipelineOverview

Name = Annotated[str | None, typer.Argument(help="One pipeline (default: all).")]
Failing = Annotated[bool, typer.Option("--failing", help="Only what is not well.")]

WELL = ("quiet", "pending", "collecting")


def status(
    pipeline: Name = None,
    config: Config = None,
    env: Environment = None,
    failing: Failing = False,
    as_json: AsJson = False,
) -> None:
    """Show the state, the pending changes and the last run of each pipeline."""
    settings = load_settings(config, current_variables(), environment=env)
    rows = asyncio.run(_overview(settings.store.url))
    if pipeline is not None:
        rows = tuple(row for row in rows if row.pipeline == pipeline)
        if not rows:
            raise ConfigError(f'the store knows no pipeline "{pipeline}"', code="bad-value")
    facts = [_facts(row, datetime.now(UTC)) for row in rows]
    if failing:
        facts = [fact for fact in facts if fact["state"] not in WELL]
    if as_json:
        typer.echo(json.dumps({"pipelines": facts}, default=str))
        return
    _print(facts)


async def _overview(url: str) -> tuple[PipelineOverview, ...]:
    async with open_store_readonly(url) as store:
        return await pipelines.overview(store)


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
    troubled = sum(fact["state"] not in WELL for fact in facts)
    typer.echo(f"{len(facts)} pipelines, {troubled} not well. Read from the store.", err=True)
