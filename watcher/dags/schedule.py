"""When Airflow itself starts a pipeline's DAG: by the file's clock, or never, which the DAG list then explains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import get_parsing_context

from watcher.dags.page import when
from watcher.pipeline.model import Pipeline

if TYPE_CHECKING:
    from airflow.timetables.base import Timetable

_SHOWN = 3


def schedule_of(pipeline: Pipeline) -> str | Timetable | None:
    """The file's schedule; else, where our plugin is registered, a timetable that only has words; else None."""
    if pipeline.schedule or pipeline.trigger is None or not pipeline.watched:
        return pipeline.schedule
    if get_parsing_context().dag_id is not None:
        return None  # a process that runs one task asks for no words, and pays for no plugin
    timetable = registered_timetable()
    if timetable is None:
        return None
    texts: Timetable = timetable(summary(pipeline), when(pipeline.trigger).removeprefix("after "))
    return texts


def summary(pipeline: Pipeline) -> str:
    """The words of the Schedule column.

    >>> from watcher.pipeline.model import TableTimestamp, DatabaseSource
    >>> watch = TableTimestamp(column="at")
    >>> summary(Pipeline(name="p", sources=(DatabaseSource(source_id="orders_db", watch=watch),)))
    'on change: orders_db'
    """
    names = [source.source_id for source in pipeline.watched]
    more = len(names) - _SHOWN
    return f"on change: {', '.join(names[:_SHOWN])}{f' and {more} more' if more > 0 else ''}"


def registered_timetable() -> Any:
    """Our timetable's class when this Airflow has it from the plugin, else None: a DAG with an unknown one would not load."""
    try:
        from airflow.plugins_manager import get_timetables_plugins
    except ImportError:  # only Airflow's core has plugins, and tasks need none of it
        return None
    return get_timetables_plugins().get("watcher.dags.timetable.OnChange")
