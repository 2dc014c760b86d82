"""One pipeline becomes one DAG: the same pipeline always becomes an equal one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, BaseOperator

from watcher.dags.groups import groups_of
from watcher.dags.operators import transformation
from watcher.dags.operators.ingestion import IngestionOperator
from watcher.dags.page import page
from watcher.dags.schedule import schedule_of
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

    Raises ConfigError for tasks that cannot be built, such as transformations of sources that are loaded into two places.
    """
    limits: dict[str, Any] = {"max_active_runs": pipeline.max_active_runs} if pipeline.max_active_runs else {}
    dag = DAG(
        pipeline.name,
        description=pipeline.description,
        schedule=schedule_of(pipeline),
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
        params=_params(pipeline),
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
    groups = groups_of(tasks, dag)
    built = {
        task_id: _build(task, pipeline, {"dag": dag, "task_group": groups.get(task.kind)})
        for task_id, task in sorted(tasks.items())
    }
    for task_id, task in sorted(tasks.items()):
        for before in sorted(task.after):
            built[task_id].set_upstream(built[before])


def _params(pipeline: Pipeline) -> dict[str, Any]:
    """The keys of `trigger.conf`: what the daemon sends with each run is the default of a run by hand or by the clock."""
    conf = pipeline.trigger.conf if pipeline.trigger else {}
    return {key: conf[key] for key in sorted(conf)}


def _build(task: Task, pipeline: Pipeline, place: Mapping[str, Any]) -> BaseOperator:
    kind = _KEYS.get(task.kind, task.kind)
    options = {
        "task_id": task.task_id,
        "trigger_rule": task.trigger_rule,
        "execution_timeout": getattr(pipeline.monitoring.task_timeout, kind),
        **place,
        **_retries(getattr(pipeline.retries, kind)),
    }
    return _BUILDERS[task.kind](task, pipeline, options)


def _ingest(task: Task, pipeline: Pipeline, options: Mapping[str, Any]) -> BaseOperator:
    source = next(source for source in pipeline.sources if source.source_id == task.subject)
    return IngestionOperator(
        source=source,
        dataset=pipeline.name,
        announces=not task.after,
        **options,
    )


def _validate(task: Task, pipeline: Pipeline, options: Mapping[str, Any]) -> BaseOperator:
    from watcher.dags.operators import validation  # common-sql is slow to import: only who has such tasks pays

    return validation.build(task, pipeline, options)


def _snowflake(task: Task, pipeline: Pipeline, options: Mapping[str, Any]) -> BaseOperator:
    from watcher.dags.operators import snowflake  # as above

    return snowflake.build(task, pipeline, options)


def _retries(retry: Retry) -> dict[str, Any]:
    delay = max(retry.delay, timedelta(seconds=1))
    return {
        "retries": retry.attempts,
        "retry_delay": delay,
        "retry_exponential_backoff": 2.0 if retry.backoff == "exponential" else 0,
        "max_retry_delay": max(retry.max_delay, delay),
    }


Builder = Callable[[Task, Pipeline, Mapping[str, Any]], BaseOperator]
_BUILDERS: Mapping[str, Builder] = {
    "ingest": _ingest,
    "transform": transformation.build,
    "validate": _validate,
    "snowflake": _snowflake,
}
"""Kind of task -> what builds its operator. The options it is given hold all that does not depend on the kind."""
_KEYS: Mapping[str, str] = {"validate": "validate_"}
"""Kind of task -> its attribute in `retries` and `task_timeout`, where that is another word."""
