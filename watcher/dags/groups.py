"""Which tasks of a DAG are shown as one box: many of a kind, where no box would have to wait for itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Final

from airflow.sdk import DAG, TaskGroup

from watcher.pipeline.graph import Task

FROM: Final = 4
"""Fewer tasks of a kind are read more easily side by side."""

_TOOLTIPS: Final = {
    "ingest": "Loads the sources",
    "transform": "Builds the models",
    "validate": "Checks what was built",
    "snowflake": "Runs SQL in Snowflake",
}


def groups_of(tasks: Mapping[str, Task], dag: DAG) -> dict[str, TaskGroup]:
    """Kind -> its group, for the kinds that get one. Ids of tasks stay as they are, so a group never changes what runs."""
    counts = Counter(task.kind for task in tasks.values())
    grouped: set[str] = set()
    for kind in sorted(counts) if len(counts) > 1 else ():
        if counts[kind] >= FROM and _in_order(tasks, grouped | {kind}):
            grouped.add(kind)
    return {kind: TaskGroup(kind, prefix_group_id=False, tooltip=_TOOLTIPS[kind], dag=dag) for kind in sorted(grouped)}


def _in_order(tasks: Mapping[str, Task], grouped: set[str]) -> bool:
    """Whether boxes and tasks can be drawn one after the other; Airflow's pages fail where they cannot."""
    boxes = {name: task.kind if task.kind in grouped else name for name, task in tasks.items()}
    before: dict[str, set[str]] = {box: set() for box in boxes.values()}
    for name, task in tasks.items():
        before[boxes[name]] |= {boxes[each] for each in task.after} - {boxes[name]}
    try:
        TopologicalSorter(before).prepare()
    except CycleError:
        return False
    return True
