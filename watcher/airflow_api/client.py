"""The verbs for Airflow: trigger under a fixed run id, verify by our own uid, ask the gate, follow runs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime

from watcher.airflow_api.answers import Answer, Finding, Seen
from watcher.airflow_api.bodies import DagState, RunFacts, read_run, trigger_body
from watcher.airflow_api.breaker import Breaker
from watcher.airflow_api.dag_facts import TaskTimes, state_of_dag, times_of_task
from watcher.airflow_api.door import Door, Health
from watcher.airflow_api.exchange import Exchange, Request, open_session
from watcher.airflow_api.gate import Gates
from watcher.airflow_api.options import AirflowOptions, base_url, check_credentials, tls
from watcher.airflow_api.paths import run_path, runs_path
from watcher.airflow_api.runs import RunStatus, status_of_runs
from watcher.decide import Gate
from watcher.detection import Json
from watcher.pipeline.run import is_run_id


class AirflowApi:
    """One Airflow. Each verb is over within the deadline of the options and is safe to cancel."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._gates = Gates(door)

    @property
    def breaker(self) -> Breaker:
        """For reading: `state`, `reason`, `since`."""
        return self._door.breaker

    @property
    def token_expires_at(self) -> datetime | None:
        """When the token at hand ends, where it tells."""
        return self._door.tokens.expires_at

    async def trigger(self, dag_id: str, dag_run_id: str, conf: Mapping[str, Json], note: str, uid: str) -> Answer:
        """Sends a batch under its own run id. "Already exists" and refusals are verified at once by our uid.

        Kinds: confirmed, foreign, absent (send the same id again), hold (nothing was created), unknown (verify first),
        refused (a person is needed), not-sent.
        """
        request = _trigger_request(dag_id, dag_run_id, conf, note)
        if isinstance(request, Answer):
            return request
        until = self._door.deadline()
        seen = await self._door.ask(request, until)
        answer = _of_trigger(seen, dag_id, dag_run_id)
        match answer.kind:
            case "exists" | "refused":
                return _verified(answer, await self._verify(dag_id, dag_run_id, uid, until))
            case "hold":
                return await self._held(answer, dag_id, until)
        return answer

    async def verify(self, dag_id: str, dag_run_id: str, uid: str) -> Answer:
        """Asks for the run. Kinds: confirmed, foreign, absent, and unknown for everything that proves nothing."""
        return await self._verify(dag_id, dag_run_id, uid, self._door.deadline())

    async def gate(self, dag_id: str, *, fresh: bool = False) -> Gate:
        """What Airflow allows for a DAG now; kept for 30 s when open, 5 s when closed, unless `fresh`."""
        return await self._gates.get(dag_id, self._door.deadline(), fresh=fresh)

    async def runs(self, keys: Iterable[tuple[str, str]]) -> dict[str, RunStatus]:
        """Status of the runs (dag_id, dag_run_id), by run id. A missing id was not learned this time.

        Raises AirflowError when Airflow gave no usable answer at all.
        """
        return await status_of_runs(self._door, keys, self._door.deadline())

    async def dag(self, dag_id: str) -> DagState | None:
        """A DAG as Airflow parsed it last, the mark of its definition included; None for one it does not know.

        Raises AirflowError when there is no usable answer.
        """
        return await state_of_dag(self._door, dag_id, self._door.deadline())

    async def task_times(self, dag_id: str, task_id: str, since: datetime) -> TaskTimes:
        """How long a task's attempts took that began at `since` or later. Raises AirflowError without a usable answer."""
        return await times_of_task(self._door, (dag_id, task_id), since, self._door.deadline())

    async def health(self) -> Health:
        """Airflow's own word about itself, needs no token. Raises AirflowError when there is no usable answer."""
        return await self._door.health()

    async def probe(self) -> None:
        """One look at Airflow's health; while the breaker is open, a good one lets the next request decide.

        Raises AirflowError with the code of what is wrong.
        """
        await self._door.probe()

    async def _verify(self, dag_id: str, dag_run_id: str, uid: str, until: float) -> Answer:
        seen = await self._door.ask(Request("get", "GET", run_path(dag_id, dag_run_id)), until)
        return _of_verify(seen, dag_id, dag_run_id, uid)

    async def _held(self, answer: Answer, dag_id: str, until: float) -> Answer:
        if answer.code == "airflow-forbidden":
            return replace(answer, detail=self._gates.forbid(dag_id).sentence)
        if answer.code not in ("dag-unknown", "dag-broken"):
            return answer
        gate = await self._gates.get(dag_id, until, fresh=True)
        return answer if gate.open else replace(answer, code=gate.code, detail=gate.sentence)


def _trigger_request(dag_id: str, dag_run_id: str, conf: Mapping[str, Json], note: str) -> Request | Answer:
    """The request, or a refusal of our own: Airflow accepts ids and values that make the run fail later."""
    if not is_run_id(dag_run_id):
        return Answer("refused", "run-id-refused", "not one of our run ids", answer="refused")
    try:
        data = json.dumps(trigger_body(dag_run_id, conf, note), allow_nan=False).encode()
    except (ValueError, TypeError, RecursionError):
        return Answer("refused", "request-refused", "the conf is not JSON", answer="refused")
    return Request("trigger", "POST", runs_path(dag_id), data=data)


def _of_trigger(seen: Seen, dag_id: str, dag_run_id: str) -> Answer:
    answer = seen.answer()
    if seen.finding is not Finding.OK:
        return answer
    run = read_run(seen.body)
    if run is None or not _is(run, dag_id, dag_run_id):
        return replace(Seen(Finding.UNREADABLE).answer(), detail="accepted, but the answer is not our run")
    return replace(answer, run_state=run.state)


def _of_verify(seen: Seen, dag_id: str, dag_run_id: str, uid: str) -> Answer:
    if seen.finding is Finding.RUN_MISSING:
        return seen.answer()
    if seen.finding is not Finding.OK:
        return replace(seen.answer(), kind="unknown")
    run = read_run(seen.body)
    if run is None or not _is(run, dag_id, dag_run_id):
        return replace(Seen(Finding.UNREADABLE).answer(), detail="the answer is not our run")
    if run.uid == uid:
        return Answer("confirmed", detail="was already there", run_state=run.state, answer="already-there")
    return Answer("foreign", "foreign-run", f"run {dag_run_id} exists and is not ours", run.state, answer="foreign-run")


def _is(run: RunFacts, dag_id: str, dag_run_id: str) -> bool:
    return (run.dag_id, run.dag_run_id) == (dag_id, dag_run_id)


def _verified(answer: Answer, found: Answer) -> Answer:
    """What a 409 or a refusal comes to once the run was looked for. A refusal stands only when there is no run."""
    if found.kind == "absent" and answer.kind == "refused":
        return answer
    if found.kind == "unknown":
        return replace(found, detail=f"{answer.detail}; then {found.detail}" if found.detail else answer.detail)
    return found


@asynccontextmanager
async def open_airflow(options: AirflowOptions) -> AsyncIterator[AirflowApi]:
    """The door to one Airflow; leaving it closes every connection. Sends nothing by itself.

    Raises ConfigError for an address, CA file or credentials that cannot be used.
    """
    base = base_url(options)
    check_credentials(options)
    async with open_session(tls(options)) as session:
        yield AirflowApi(Door(options, Exchange(session, base, options.clock, options.on_request)))
