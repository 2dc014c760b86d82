"""Where our runs stand: a hundred ids per request, and only a 404 for the one id makes a run vanished."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from watcher.airflow_api.answers import Finding, Seen
from watcher.airflow_api.bodies import RunFacts, read_run, read_runs
from watcher.airflow_api.door import Door
from watcher.airflow_api.exchange import Request
from watcher.airflow_api.paths import ALL_RUNS, run_path
from watcher.errors import AirflowError

Key = tuple[str, str]
"""(dag_id, dag_run_id)."""

PER_CALL = 100
MOST_PAGES = 20


@dataclass(frozen=True, slots=True)
class RunStatus:
    """Airflow's word for a run's state, also one newer than we know, or `vanished`; `uid` is that of its batch."""

    state: str
    start_date: datetime | None = None
    end_date: datetime | None = None
    uid: str | None = None


VANISHED = RunStatus("vanished")


async def status_of_runs(door: Door, keys: Iterable[Key], until: float) -> dict[str, RunStatus]:
    """dag_run_id -> status. An id that is missing in the answer was not learned this time.

    Raises AirflowError when Airflow gave no usable answer to the first list.
    """
    learned: dict[Key, RunStatus] = {}
    for some in _chunks(sorted(set(keys)), PER_CALL):
        trouble = await _list(door, some, learned, until)
        if trouble is None:
            trouble = await _one_by_one(door, [key for key in some if key not in learned], learned, until)
        if trouble is not None and not learned:
            raise AirflowError(trouble.detail or "no answer", code=trouble.code or trouble.meaning.code)
        if trouble is not None:
            break
    return {run_id: status for (_, run_id), status in learned.items()}


async def _list(door: Door, keys: Sequence[Key], learned: dict[Key, RunStatus], until: float) -> Seen | None:
    """Reads the runs of these keys, page by page: a site may allow smaller pages, and cuts ours without a word."""
    wanted, offset = set(keys), 0
    pattern = "|".join(run_id for _, run_id in keys)
    for _ in range(MOST_PAGES):
        params = {"run_id_prefix_pattern": pattern, "limit": str(PER_CALL), "offset": str(offset), "order_by": "id"}
        seen = await door.ask(Request("list", "GET", ALL_RUNS, params), until)
        if seen.finding is not Finding.OK:
            return seen
        page = read_runs(seen.body)
        if page is None:
            return Seen(Finding.ADDRESS, "its list of runs is none")
        runs, total = page
        # A prefix finds longer ids too: only exact ones are ours.
        learned.update(
            {(run.dag_id, run.dag_run_id): _status(run) for run in runs if (run.dag_id, run.dag_run_id) in wanted}
        )
        offset += len(runs)
        if not runs or offset >= total or wanted <= learned.keys():
            return None
    return None


async def _one_by_one(door: Door, keys: Iterable[Key], learned: dict[Key, RunStatus], until: float) -> Seen | None:
    """A list shows only what our user may read: what it lacks is asked for by id."""
    for key in keys:
        seen = await door.ask(Request("get", "GET", run_path(*key)), until)
        if seen.finding is Finding.RUN_MISSING:
            learned[key] = VANISHED
        elif seen.finding is Finding.OK and (run := read_run(seen.body)) is not None:
            learned[key] = _status(run)
        elif seen.meaning.effect != "success":
            return seen
    return None


def _status(run: RunFacts) -> RunStatus:
    return RunStatus(run.state, run.start_date, run.end_date, run.uid)


def _chunks(keys: Sequence[Key], size: int) -> Iterator[Sequence[Key]]:
    for start in range(0, len(keys), size):
        yield keys[start : start + size]
