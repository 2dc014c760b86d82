"""One dlt load: extract, normalize and load in a working folder of its own, leaving nothing behind but the rows."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from tempfile import TemporaryDirectory
from typing import Any

from airflow.sdk.exceptions import AirflowException

from watcher.dags.operators.destination import Destination
from watcher.errors import WatcherError

_SETTINGS = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "PROVIDERS__ENABLE_AIRFLOW_SECRETS": "false",  # else dlt asks Airflow for a Variable at every setting
}
_LONGEST_NAME = 60

Resources = Callable[[], Sequence[Any]]
"""Makes the dlt resources to read. Called once, inside of the task's turn."""


def prepare_dlt() -> None:
    """Settings that dlt reads when it is imported. Must run before the first import of dlt in this process."""
    os.environ.update(_SETTINGS)


def load(resources: Resources, destination: Destination, name: str, dataset: str) -> dict[str, int]:
    """Load all rows of `resources` into `dataset` and answer rows per table, dlt's own tables left out.

    `name` (see `working_name`) is what dlt keeps its state under, in the destination. A load that fails changes nothing that
    the next try would not repair. Raises the WatcherError of a reader, or AirflowException naming the step that failed.
    """
    import dlt
    from dlt.pipeline import trace
    from dlt.pipeline.exceptions import PipelineStepFailed

    # with telemetry off dlt still writes an id into the home, and fails the load where it may not
    trace.TRACKING_MODULES = []
    with TemporaryDirectory(prefix="watcher-") as folder, destination.turn(name):
        pipeline = dlt.pipeline(name, pipelines_dir=folder, destination=destination.factory(), dataset_name=dataset)
        try:
            return _steps(pipeline, resources, destination)
        except PipelineStepFailed as error:
            raise _translated(error, name) from error
        finally:
            pipeline.deactivate()


def _steps(pipeline: Any, resources: Resources, destination: Destination) -> dict[str, int]:
    # by steps, not by run(): a DuckDB file is then open only while it is really used
    with destination.opened():
        pipeline.sync_destination()
    pipeline.extract(list(resources()))
    counts = pipeline.normalize().row_counts
    with destination.opened():
        pipeline.load()
    return {table: rows for table, rows in sorted(counts.items()) if not table.startswith("_dlt")}


def _translated(error: Exception, name: str) -> Exception:
    """What a reader raised inside of dlt, else a sentence without dlt's text, which may quote rows."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, WatcherError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return AirflowException(f"{name}: the {getattr(error, 'step', 'load')} step failed, see the cause above")


def working_name(dag_id: str, source_id: str) -> str:
    """One name per DAG and source, short and plain enough for dlt's files and tables.

    >>> working_name("orders", "orders_db")
    'orders__orders_db'
    """
    wanted = f"{dag_id}__{source_id}"
    plain = re.sub(r"[^a-z0-9_]", "_", wanted.lower())
    if plain == wanted and len(plain) <= _LONGEST_NAME:
        return plain
    return f"{plain[: _LONGEST_NAME - 9]}_{hashlib.sha256(wanted.encode()).hexdigest()[:8]}"
