"""One pipeline becomes one DAG: the same pipeline always becomes an equal one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, BaseOperator

from watcher.dags.operators.ingestion import IngestionOperator
from watcher.dags.page import page
from watcher.errors import ConfigError
from watcher.pipeline.graph import Task, build_graph
from watcher.pipeline.model import Pipeline
from watcher.pipeline.tasks import Retry

FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)
"""The start of a schedule whose file names none; without `catchup` nothing runs for the past."""

_OWNER = "watcher"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a DAG comes from: its pipeline `file` as people know it, the `loader` that Airflow reads, the status page."""

    file: str
    loader: Path
    public_url: str | None = None


def build_dag(pipeline: Pipeline, origin: Origin) -> DAG:
    """The DAG of a pipeline, active from the moment it is seen: a paused one would hold every change.

    Raises ConfigError for a kind of task that has no operator.
    """
    limits: dict[str, Any] = {"max_active_runs": pipeline.max_active_runs} if pipeline.max_active_runs else {}
    dag = DAG(
        pipeline.name,
        description=pipeline.description,
        schedule=pipeline.schedule,
        start_date=_moment(pipeline.start_date),
        catchup=pipeline.catchup,
        dagrun_timeout=pipeline.timeout,
        tags=sorted(
            {
                "watcher",
                *(f"source:{source.source_id}" for source in pipeline.sources if source.enabled),
                *pipeline.tags,
            }
        ),
        default_args={"owner": pipeline.owner or _OWNER},
        doc_md=page(pipeline, origin.file, origin.public_url),
        is_paused_upon_creation=False,
        **limits,
    )
    dag.fileloc = str(origin.loader)
    _add_tasks(dag, pipeline)
    return dag


def _moment(day: date | datetime | None) -> datetime:
    if isinstance(day, datetime):
        return day
    return FIRST_DAY if day is None else datetime.combine(day, time(), UTC)


def _add_tasks(dag: DAG, pipeline: Pipeline) -> None:
    tasks = build_graph(pipeline).tasks
    built = {task_id: _build(task, pipeline, dag) for task_id, task in sorted(tasks.items())}
    for task_id, task in sorted(tasks.items()):
        for before in sorted(task.after):
            built[task_id].set_upstream(built[before])


def _build(task: Task, pipeline: Pipeline, dag: DAG) -> BaseOperator:
    builder = _BUILDERS.get(task.kind)
    if builder is None:
        raise ConfigError(f"task {task.task_id}: no operator for {task.kind} tasks yet", code="not-available")
    options = {"task_id": task.task_id, "trigger_rule": task.trigger_rule, "dag": dag}
    return builder(task, pipeline, options)


def _ingest(task: Task, pipeline: Pipeline, options: Mapping[str, Any]) -> BaseOperator:
    source = next(source for source in pipeline.sources if source.source_id == task.subject)
    return IngestionOperator(
        source=source,
        dataset=pipeline.name,
        announces=not task.after,
        execution_timeout=pipeline.monitoring.task_timeout.ingest,
        **_retries(pipeline.retries.ingest),
        **options,
    )


def _retries(retry: Retry) -> dict[str, Any]:
    delay = max(retry.delay, timedelta(seconds=1))
    return {
        "retries": retry.attempts,
        "retry_delay": delay,
        "retry_exponential_backoff": 2.0 if retry.backoff == "exponential" else 0,
        "max_retry_delay": max(retry.max_delay, delay),
    }


Builder = Callable[[Task, Pipeline, Mapping[str, Any]], BaseOperator]
_BUILDERS: Mapping[str, Builder] = {"ingest": _ingest}
"""Kind of task -> what builds its operator."""
