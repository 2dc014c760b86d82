"""Runs one operator as a task would: a conf as the daemon builds it, and what the task pushed to XCom."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from airflow.sdk import DAG

from watcher.dags.operators.ingestion import IngestionOperator
from watcher.pipeline.model import Source
from watcher.pipeline.run import BatchFacts, SourceFacts, build_conf, make_run_id

FIRED = datetime(2026, 11, 22, 14, 10, 6, tzinfo=UTC)


def conf_of(*sources: SourceFacts, payload: str = "files", pipeline: str = "orders") -> dict[str, Any]:
    """What the daemon sends for batch 17 with these sources."""
    run_id = make_run_id(FIRED, 17)
    facts = BatchFacts(17, "0" * 32, pipeline, pipeline, run_id, "changes 2 >= 1", FIRED, FIRED, FIRED, tuple(sources))
    return build_conf(facts, payload=payload, user_conf={}, url=None, manifest=None)  # type: ignore[arg-type]


@dataclass
class Task:
    """One ingest task of a DAG, run as often as wanted. `pushed` is what it gave to XCom beside its result."""

    source: Source
    dag_id: str = "orders"
    announces: bool = False
    pushed: dict[str, Any] = field(default_factory=dict)

    def run(self, conf: dict[str, Any] | None = None) -> dict[str, int]:
        operator = IngestionOperator(
            task_id=f"ingest_{self.source.source_id}",
            source=self.source,
            dataset=self.dag_id,
            announces=self.announces,
            dag=DAG(self.dag_id),
        )
        return operator.execute({"dag_run": SimpleNamespace(conf=conf or {}), "ti": self})  # type: ignore[arg-type]

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value
