"""A DAG that asks the daemon every few minutes how it is, and turns red where a person is needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import DAG, BaseOperator, Param
from airflow.sdk.exceptions import AirflowException

from watcher.dags.http_connections import HttpService, http_service, refuse_in_clear
from watcher.dags.loader import load_pipelines
from watcher.dags.ops import Answer, Samples, ask, samples
from watcher.pipeline.model import Pipeline
from watcher.pipeline.values import format_duration

if TYPE_CHECKING:
    from airflow.sdk import Context

DAG_ID: Final = "watcher_health"
OPS_URL: Final = "WATCHER_OPS_URL"
"""The address of the daemon's health and metrics, such as http://watcher:8781."""
CONNECTION: Final = "watcher"
"""The Airflow connection that has the address where the variable has not."""

_PAGE: Final = f"""\
Asks the daemon at `{OPS_URL}`, else at the HTTP connection `{CONNECTION}`; paused until somebody has set one of them.

| task | red when |
|---|---|
| `ready` | the daemon does not answer, or takes no changes in |
| `in_step` | its last reload was refused, a file is invalid, or it works on another number of pipelines than Airflow reads |
| `ledger` | changes it has recorded have no known fate: a bug |
| `oldest_pending` | changes wait longer than `max_wait` and `grace_minutes`, or without a `max_wait` than `longest_hours` |
"""

Facts = dict[str, Any]


class HealthOperator(BaseOperator):
    """One question to the daemon; answers the facts it was decided by. Fails with the sentence that a person needs."""

    template_fields = ()

    def __init__(self, *, question: str, near: Path, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.question = question
        self.near = near

    def execute(self, context: Context) -> Facts:
        """The facts. Raises AirflowException for what is wrong, ConfigError without an address."""
        return _QUESTIONS[self.question](_service(), self.near, context["params"])


def _service() -> HttpService:
    address = os.environ.get(OPS_URL)
    service = HttpService(address.rstrip("/")) if address else http_service(CONNECTION)
    if service.headers:
        refuse_in_clear(service.base_url)
    return service


def _ready(service: HttpService, _: Path, __: Mapping[str, Any]) -> Facts:
    answer = ask(service, "/readyz?verbose")
    facts = _told(answer)
    if answer.status != 200:
        why = facts.get("reason") or facts.get("status") or f"it answers {answer.status}"
        raise AirflowException(f"the daemon takes no changes in: {why}")
    return facts


def _told(answer: Answer) -> Facts:
    facts = answer.json()
    if not isinstance(facts, dict):
        raise AirflowException(
            f"{OPS_URL} is not the address of a watcher: /readyz answers {answer.status} without facts"
        )
    return facts


def _in_step(service: HttpService, near: Path, _: Mapping[str, Any]) -> Facts:
    metrics = _metrics(service)
    here = sum(pipeline.enabled for pipeline in load_pipelines(near))
    facts = {
        "reload": metrics.one("watcher_config_last_reload_successful"),
        "loaded": metrics.one("watcher_pipelines", state="loaded"),
        "invalid": metrics.one("watcher_pipelines", state="invalid"),
        "here": here,
    }
    if facts["reload"] != 1:
        raise AirflowException(
            "the daemon refused the files at its last reload and works on with those before: see its log"
        )
    if facts["invalid"]:
        raise AirflowException(f"{facts['invalid']:.0f} files are invalid for the daemon: run watcher check")
    if facts["loaded"] != here:
        raise AirflowException(f"the daemon works on {facts['loaded']:.0f} pipelines, Airflow reads {here}")
    return facts


def _ledger(service: HttpService, _: Path, __: Mapping[str, Any]) -> Facts:
    difference = _metrics(service).one("watcher_unaccounted_changes")
    if difference:
        raise AirflowException(f"{difference:.0f} changes are recorded and have no known fate: a bug, please report it")
    return {"difference": difference}


def _oldest_pending(service: HttpService, near: Path, params: Mapping[str, Any]) -> Facts:
    now = datetime.now(UTC).timestamp()
    oldest = _metrics(service).by("watcher_pending_oldest_timestamp_seconds", "pipeline")
    ages = {name: round(now - at) for name, at in sorted(oldest.items())}
    limits = {pipeline.name: _limit(pipeline, params) for pipeline in load_pipelines(near)}
    longest = timedelta(hours=params["longest_hours"])
    late = {name: age for name, age in ages.items() if age > limits.get(name, longest).total_seconds()}
    if late:
        told = ", ".join(f"{name} for {format_duration(timedelta(seconds=age))}" for name, age in late.items())
        raise AirflowException(f"changes wait too long: {told}")
    return {"seconds": ages}


def _limit(pipeline: Pipeline, params: Mapping[str, Any]) -> timedelta:
    longest = pipeline.trigger.max_wait if pipeline.trigger else None
    if longest is None:
        return timedelta(hours=params["longest_hours"])
    return longest + timedelta(minutes=params["grace_minutes"])


def _metrics(service: HttpService) -> Samples:
    answer = ask(service, "/metrics")
    if answer.status != 200:
        raise AirflowException(f"/metrics answers {answer.status}")
    return samples(answer.text)


_QUESTIONS: Final[Mapping[str, Callable[[HttpService, Path, Mapping[str, Any]], Facts]]] = {
    "ready": _ready,
    "in_step": _in_step,
    "ledger": _ledger,
    "oldest_pending": _oldest_pending,
}
"""task_id -> what it asks."""


def build_health(near: Path) -> dict[str, DAG]:
    """dag_id -> the DAG; `near` is the file that Airflow reads."""
    dag = DAG(
        DAG_ID,
        description="Asks the watcher daemon how it is",
        schedule="*/5 * * * *",
        start_date=datetime(2024, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=timedelta(minutes=5),
        tags=["watcher"],
        params={
            "grace_minutes": Param(
                10, type="number", minimum=0, description="Beyond max_wait, for a send that is late"
            ),
            "longest_hours": Param(
                24, type="number", exclusiveMinimum=0, description="Where a pipeline has no max_wait"
            ),
        },
        doc_md=_PAGE,
        is_paused_upon_creation=True,
    )
    dag.fileloc = str(near.absolute())
    for question in _QUESTIONS:
        HealthOperator(
            task_id=question, question=question, near=near, retries=1, retry_delay=timedelta(seconds=20), dag=dag
        )
    return {DAG_ID: dag}
