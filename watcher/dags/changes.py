"""What brought a run, for the tasks of any DAG: generated, or written by hand and named by a pipeline's `dag_id`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from watcher.pipeline.run import BatchView, read_batch

if TYPE_CHECKING:
    from airflow.sdk import Context


def batch(context: Context) -> BatchView | None:
    """The batch of this run, with the names of its files; None for a run by hand or by the clock.

    Raises WatcherError `unreadable-file` when the batch's manifest is gone: a run must not go on with less than its batch.
    """
    return read_batch(context["dag_run"].conf)


def detected_changes(context: Context) -> dict[str, Any]:
    """source_id -> what changed there, as the run's conf says it; empty for a run by hand or by the clock.

    The same as the XCom `detected_changes` of a generated DAG's first tasks, and there in any task of any DAG. The values come
    from outside: hand them on as data, never as part of a command, a statement or a template.
    """
    conf = context["dag_run"].conf
    block = conf.get("watcher") if isinstance(conf, Mapping) else None
    sources = block.get("sources") if isinstance(block, Mapping) else None
    return dict(sources) if isinstance(sources, Mapping) else {}
