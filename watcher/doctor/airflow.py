"""Airflow as the daemon would meet it: address, version, login, clocks, and every pipeline's DAG."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from watcher.airflow_api import AirflowApi, AirflowOptions, Health, open_airflow
from watcher.decide import Gate
from watcher.doctor.finding import Finding, failed, warning
from watcher.doctor.step import ABOUT_ALL, AT_ONCE, Step, state_of, step_of
from watcher.errors import CODES, AirflowError, WatcherError
from watcher.pipeline.model import Pipeline

CLOCKS_APART = 30.0


async def look_at_airflow(options: AirflowOptions, pipelines: Sequence[Pipeline]) -> list[Finding]:
    """One line for Airflow, then one for each DAG that is not as it should be, or one for all."""
    try:
        async with open_airflow(options) as api:
            health = await api.health()
            looked = await _look_at_dags(api, pipelines)
    except WatcherError as error:
        return [failed("airflow", AirflowError(f"{options.url}: {error}", code=error.code))]
    return [*_of_health(options, health), *_of_dags(looked)]


async def _look_at_dags(api: AirflowApi, pipelines: Sequence[Pipeline]) -> list[tuple[Pipeline, Gate, Step]]:
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(pipeline: Pipeline) -> tuple[Pipeline, Gate, Step]:
        async with turns:
            gate = await api.gate(pipeline.run_dag_id, fresh=True)
            if gate.code in ABOUT_ALL:
                raise AirflowError(gate.sentence, code=gate.code)
            readable = pipeline.generated and gate.code not in ("dag-unknown", "airflow-forbidden")
            state = await state_of(api, pipeline.run_dag_id) if readable else None
            return pipeline, gate, step_of(pipeline, state)

    answers = await asyncio.gather(*(one(pipeline) for pipeline in pipelines), return_exceptions=True)
    looked = [answer for answer in answers if not isinstance(answer, BaseException)]
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return looked


def _of_health(options: AirflowOptions, health: Health) -> list[Finding]:
    user = f"user {options.username}" if options.username else "a token" if options.token else "no login"
    clock = "" if health.clock_ahead is None else f", clock {health.clock_ahead:+.1f} s"
    text = f"{options.url} {health.version or 'of unknown version'}, {user}, {health.latency * 1000:.0f} ms{clock}"
    if health.metadatabase != "healthy":
        return [
            Finding(
                "airflow",
                f"{text}; its metadata database is {health.metadatabase or 'silent'}",
                "FAILED",
                code="airflow-unreachable",
                advice=CODES["airflow-unreachable"].hint,
            )
        ]
    if health.scheduler != "healthy":
        return [
            warning(
                "airflow",
                f"{text}; its scheduler is {health.scheduler or 'silent'}",
                "runs are accepted, and start once a scheduler is back",
            )
        ]
    if abs(health.clock_ahead or 0.0) > CLOCKS_APART:
        return [
            warning("airflow", text, "the two clocks differ: tokens may be renewed too late, times in notes do not fit")
        ]
    return [Finding("airflow", text)]


def _of_dags(looked: Sequence[tuple[Pipeline, Gate, Step]]) -> list[Finding]:
    found = [finding for pipeline, gate, step in looked for finding in _of_dag(pipeline, gate, step)]
    if found or not looked:
        return found
    generated = sum(step.word == "in step" for _, _, step in looked)
    told = f", {generated} made from their files and in step" if generated else ""
    return [Finding("dags", f"{len(looked)} known and open{told}")]


def _of_dag(pipeline: Pipeline, gate: Gate, step: Step) -> list[Finding]:
    found = []
    if gate.code == "dag-paused":
        found.append(
            Finding(
                "dags",
                f"{pipeline.run_dag_id} is paused in Airflow",
                "warning",
                "",
                pipeline.name,
                gate.code,
                "its changes are held and leave as one run when it is unpaused",
            )
        )
    elif gate.code is not None:
        found.append(Finding("dags", gate.sentence, "FAILED", "", pipeline.name, gate.code, CODES[gate.code].hint))
    if step.sentence:
        found.append(Finding("dags", step.sentence, "warning", "", pipeline.name, None, step.advice))
    return found
