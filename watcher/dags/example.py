"""A DAG written by hand that reads its batch: start yours from a copy, and name it by `dag_id` in a pipeline file."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, get_current_context, task

from watcher.dags.changes import batch, detected_changes

DAG_ID = "example_reads_batch"
_log = logging.getLogger("airflow.task")
_PAGE = """\
Written by hand, not made from a pipeline file. A pipeline that says `dag_id: example_reads_batch` triggers it, and
its tasks read what has changed. It is paused until somebody wants it.
"""


@task
def look() -> dict[str, int]:
    """source_id -> how many changes the batch holds; empty in a run by hand or by the clock."""
    return {source_id: int(source["changes"]) for source_id, source in detected_changes(get_current_context()).items()}


@task
def read() -> list[dict[str, Any]]:
    """What there is to read of each source: a window of a column, or files. Never part of a statement or a command as text."""
    found = batch(get_current_context())
    if found is None:
        _log.info("no batch: this run reads what it would read without the watcher")
        return []
    _log.info("%s: %s", found.batch, found.reason)
    return [
        {
            "source": source_id,
            # half-open: rows after `from`, up to and with `to`
            "window": None if view.range is None else [view.range.column, view.range.low, view.range.high],
            "files": len(view.files),
            "deleted": len(view.deleted),
        }
        for source_id, view in sorted(found.sources.items())
    ]


def build_example(near: Path) -> dict[str, DAG]:
    """dag_id -> the DAG; `near` is the file that Airflow reads."""
    with DAG(
        DAG_ID,
        description="Reads the batch that the watcher sends with a run",
        schedule=None,
        start_date=datetime(2024, 1, 1, tzinfo=UTC),
        catchup=False,
        tags=["watcher", "example"],
        doc_md=_PAGE,
        is_paused_upon_creation=True,
    ) as dag:
        look() >> read()
    dag.fileloc = str(near.absolute())
    return {DAG_ID: dag}
