"""What Airflow's state of a DAG allows now, kept for a short while, said in the sentences people read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from watcher.airflow_api.answers import Finding, Seen, short
from watcher.airflow_api.bodies import DagFacts, ImportFacts, read_dag, read_import_errors
from watcher.airflow_api.door import Door
from watcher.airflow_api.exchange import Request
from watcher.airflow_api.paths import dag_path
from watcher.decide import OPEN, Gate

OPEN_FOR, CLOSED_FOR, FORBIDDEN_FOR = 30.0, 5.0, 300.0


@dataclass(frozen=True, slots=True)
class _Kept:
    gate: Gate
    until: float
    sticky: bool = False


class Gates:
    """The gates of all DAGs we were asked for: 30 s open, 5 s closed, 5 min after a refused trigger."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._kept: dict[str, _Kept] = {}

    async def get(self, dag_id: str, until: float, *, fresh: bool = False) -> Gate:
        """The gate of a DAG. `fresh` asks Airflow, except for what a trigger itself was refused for."""
        if self._door.breaker.state == "closed" and (kept := self._keeps(dag_id, fresh=fresh)):
            return kept
        gate = await self._ask(dag_id, until)
        now = self._door.options.clock()
        if not self._keeps(dag_id, fresh=True):
            self._kept[dag_id] = _Kept(gate, now + (OPEN_FOR if gate.open else CLOSED_FOR))
        return gate

    def forbid(self, dag_id: str) -> Gate:
        """A trigger was answered 403: this DAG's gate stays closed for 5 min."""
        user = self._door.options.user
        gate = Gate("airflow-forbidden", f'{user} may not create runs of DAG "{dag_id}". Grant it: DAG runs, create.')
        self._kept[dag_id] = _Kept(gate, self._door.options.clock() + FORBIDDEN_FOR, sticky=True)
        return gate

    def _keeps(self, dag_id: str, *, fresh: bool) -> Gate | None:
        kept = self._kept.get(dag_id)
        if kept is None or self._door.options.clock() >= kept.until or (fresh and not kept.sticky):
            return None
        return kept.gate

    async def _ask(self, dag_id: str, until: float) -> Gate:
        seen = await self._door.ask(Request("get", "GET", dag_path(dag_id)), until)
        if seen.finding is not Finding.OK:
            return self._closed(seen, dag_id)
        dag = read_dag(seen.body)
        if dag is None:
            return Gate("airflow-address", "This address is not an Airflow 3 API: what it answers for a DAG is none.")
        error = await self._import_error(dag, until) if dag.stale and dag.broken else None
        return gate_of(dag_id, dag, error, self._door.options.now())

    async def _import_error(self, dag: DagFacts, until: float) -> ImportFacts | None:
        if dag.file is None:
            return None
        params = {"filename_pattern": dag.file, "limit": "100"}
        seen = await self._door.ask(Request("list", "GET", "/api/v2/importErrors", params), until)
        # The pattern is a substring with wildcards in any case: another file's error is not ours.
        found = [e for e in read_import_errors(seen.body) if e.file == dag.file and e.bundle == dag.bundle]
        return found[-1] if found else None

    def _closed(self, seen: Seen, dag_id: str) -> Gate:
        code = seen.code or seen.meaning.code or "airflow-unreachable"
        if code == "airflow-forbidden":
            return Gate(code, f'{self._door.options.user} may not read DAG "{dag_id}". Grant it: DAGs, read.')
        if code == "dag-unknown":
            return unknown_dag(dag_id)
        breaker, now = self._door.breaker, self._door.options.now()
        return lost_gate(code, seen.detail, f" since {_clock(breaker.since, now)}" if breaker.since else "")


def lost_gate(code: str, detail: str, since: str) -> Gate:
    """The gate while Airflow as a whole is of no use; `since` is empty or begins with a space."""
    match code:
        case "airflow-token":
            sentence = (
                f"Airflow refuses our token{since} and a new login did not help. "
                "Look at airflow.password or the token file."
            )
        case "airflow-address":
            sentence = f"This address is not an Airflow 3 API ({detail})."
        case "airflow-limited":
            sentence = "Airflow, or a proxy before it, asks us to wait. Changes are kept and leave after that."
        case _:
            code, sentence = (
                "airflow-unreachable",
                f"Airflow does not answer{since}. Changes are kept and leave when it does.",
            )
    return Gate(code, sentence)


def unknown_dag(dag_id: str) -> Gate:
    return Gate(
        "dag-unknown",
        f'Airflow does not know DAG "{dag_id}". '
        "Is the loader in its dags folder, and the DAG's file in the pipelines folder?",
    )


def gate_of(dag_id: str, dag: DagFacts, error: ImportFacts | None, now: datetime) -> Gate:
    """The gate of a DAG that Airflow knows; `error` is its file's import error, where we may read it."""
    if dag.stale and dag.broken:
        return Gate("dag-broken", _broken(dag_id, error, now))
    if dag.stale:
        return unknown_dag(dag_id)
    if dag.paused:
        return Gate("dag-paused", f'DAG "{dag_id}" is paused in Airflow; its changes wait and leave as one run.')
    if not dag.manual:
        return Gate(
            "airflow-forbidden", f'DAG "{dag_id}" does not allow manual runs: add "manual" to its allowed_run_types.'
        )
    return OPEN


def _broken(dag_id: str, error: ImportFacts | None, now: datetime) -> str:
    if error is None:
        return f'DAG "{dag_id}" has an import error.'
    since = f" since {_clock(error.at, now)}" if error.at else ""
    lines = [line for line in error.trace.splitlines() if line.strip()]
    last = short(lines[-1]) if lines else ""
    if not last or error.trace.lstrip().startswith("REDACTED"):
        return f'DAG "{dag_id}" has an import error{since}, whose text our user may not read.'
    return f'DAG "{dag_id}" has an import error{since}: {last}{"" if last.endswith(".") else "."}'


def _clock(moment: datetime, now: datetime) -> str:
    return moment.strftime("%H:%M" if abs(now - moment) < timedelta(hours=20) else "%Y-%m-%d %H:%M")
