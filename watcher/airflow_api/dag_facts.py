"""What people ask about a DAG: the definition it runs with, and how long its tasks took. Nothing here changes anything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from watcher.airflow_api.answers import Finding, Seen
from watcher.airflow_api.bodies import DagState, TaskTime, read_dag_state, read_task_times
from watcher.airflow_api.door import Door
from watcher.airflow_api.exchange import Request
from watcher.airflow_api.paths import details_path, task_times_path
from watcher.errors import AirflowError

PER_CALL = 100
MOST_PAGES = 100


@dataclass(frozen=True, slots=True)
class TaskTimes:
    """The ended attempts of one task. `whole` is False when there are more than were read."""

    times: tuple[TaskTime, ...] = ()
    whole: bool = True


async def state_of_dag(door: Door, dag_id: str, until: float) -> DagState | None:
    """The DAG's state; None when Airflow does not know it. Raises AirflowError without a usable answer."""
    seen = await door.ask(Request("get", "GET", details_path(dag_id)), until)
    if seen.finding is Finding.DAG_MISSING:
        return None
    if seen.finding is not Finding.OK:
        raise _no_answer(seen)
    state = read_dag_state(seen.body)
    if state is None:
        raise AirflowError("what it answers for a DAG is none", code="airflow-address")
    return state


async def times_of_task(door: Door, task: tuple[str, str], since: datetime, until: float) -> TaskTimes:
    """Reads page by page, the newest first. Raises AirflowError when the first page has no usable answer."""
    dag_id, task_id = task
    read: list[TaskTime] = []
    offset = 0
    for _ in range(MOST_PAGES):
        params = {
            "task_id": task_id,
            "start_date_gte": since.isoformat(),
            "order_by": "-start_date",
            "limit": str(PER_CALL),
            "offset": str(offset),
        }
        seen = await door.ask(Request("list", "GET", task_times_path(dag_id), params), until)
        page = read_task_times(seen.body) if seen.finding is Finding.OK else None
        if page is None and offset:
            return TaskTimes(tuple(read), whole=False)
        if page is None:
            raise _no_answer(seen)
        times, rows, total = page
        read += times
        offset += rows
        if not rows or offset >= total:
            return TaskTimes(tuple(read))
    return TaskTimes(tuple(read), whole=False)


def _no_answer(seen: Seen) -> AirflowError:
    return AirflowError(seen.detail or "no answer", code=seen.code or seen.meaning.code or "airflow-unreachable")
