"""One pipeline file as a frozen model: what holds an object of these types is valid and fully resolved."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal

from pydantic import Field

from watcher.pipeline.base import Many, Strict
from watcher.pipeline.sources import (
    AnySource,
    ApiSource,
    CustomSource,
    DatabaseSource,
    FilesystemSource,
    Ingest,
    Source,
)
from watcher.pipeline.tasks import Alerting, Dependency, Monitoring, Retries, SnowflakeTask, Transformation, Validation
from watcher.pipeline.trigger import Branch, Trigger
from watcher.pipeline.values import Count, Cron, DagId, Flag, Id, Positive, StartDate, Text
from watcher.pipeline.watches import (
    ApiItems,
    ApiResource,
    ApiWebhook,
    CustomWatch,
    FilesystemWatch,
    TableLog,
    TablePolling,
    TableTimestamp,
    Watch,
)

__all__ = [
    "ApiItems",
    "ApiResource",
    "ApiSource",
    "ApiWebhook",
    "Branch",
    "CustomSource",
    "CustomWatch",
    "DatabaseSource",
    "Dependency",
    "FilesystemSource",
    "FilesystemWatch",
    "Ingest",
    "Pipeline",
    "Source",
    "TableLog",
    "TablePolling",
    "TableTimestamp",
    "Trigger",
    "Watch",
]


class Pipeline(Strict):
    """One file: what to watch, when to run, what the run does. `trigger` None: purely by the clock, or by hand."""

    version: Literal[1] = 1
    name: Id
    description: Text | None = None
    owner: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    tags: Many[Annotated[str, Field(min_length=1, max_length=100)]] = ()
    enabled: Flag = True
    dag_id: DagId | None = None
    schedule: Cron = None
    start_date: StartDate | None = None
    catchup: Flag = False
    max_active_runs: Count | None = None
    timeout: Positive | None = None
    sources: Annotated[Many[AnySource], Field(min_length=1)]
    transformations: Many[Transformation] = ()
    validations: Many[Validation] = ()
    snowflake: Many[SnowflakeTask] = ()
    dependencies: dict[str, Dependency] = Field(default_factory=dict)
    trigger: Trigger | None = None
    retries: Retries = Retries()
    monitoring: Monitoring = Monitoring()
    alerting: Alerting = Alerting()

    @property
    def run_dag_id(self) -> str:
        """The DAG whose runs the batches become."""
        return self.dag_id or self.name

    @property
    def generated(self) -> bool:
        """Whether Airflow makes the DAG from this file."""
        return self.dag_id is None

    @property
    def watched(self) -> tuple[Source, ...]:
        """The sources that the daemon looks at."""
        return tuple(source for source in self.sources if source.enabled and source.watch is not None)

    @property
    def payload(self) -> Literal["summary", "files", "keys"]:
        """What conf tells of the changes: as written, else the files where files are watched."""
        if self.trigger is not None and self.trigger.payload is not None:
            return self.trigger.payload
        return "files" if any(isinstance(source, FilesystemSource) for source in self.watched) else "summary"

    @property
    def fingerprint(self) -> str:
        """sha256 (hex) of all that the file says, secrets excluded; equal on every machine."""
        text = json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()
