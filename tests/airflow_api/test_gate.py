"""The gate's sentences, and how long an answer serves."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.airflow_api.conftest import Clock
from tests.airflow_api.fake_airflow import FakeAirflow
from tests.airflow_api.rows import GOOD
from tests.airflow_api.world import new_run_id
from watcher.airflow_api import AirflowOptions, open_airflow
from watcher.airflow_api.bodies import DagFacts, ImportFacts
from watcher.airflow_api.gate import gate_of, lost_gate
from watcher.decide import Gate

DAG = f"/api/v2/dags/{GOOD}"


def options(fake: FakeAirflow, clock: Clock) -> AirflowOptions:
    return AirflowOptions(
        url=fake.url, username=fake.username, password=lambda: fake.password, clock=clock, now=clock.now
    )


@pytest.mark.parametrize(
    ("state", "code", "sentence"),
    [
        ({}, None, ""),
        ({"paused": True}, "dag-paused", f'DAG "{GOOD}" is paused in Airflow; its changes wait and leave as one run.'),
        (
            {"stale": True},
            "dag-unknown",
            f'Airflow does not know DAG "{GOOD}". Is the loader in its dags folder, '
            "and the DAG's file in the pipelines folder?",
        ),
        (
            {"allowed_run_types": ["scheduled"]},
            "airflow-forbidden",
            f'DAG "{GOOD}" does not allow manual runs: add "manual" to its allowed_run_types.',
        ),
        ({"allowed_run_types": ["scheduled", "manual"]}, None, ""),
        ({"broken": True}, None, ""),
    ],
)
async def test_gate_of_each_state(
    fake: FakeAirflow, clock: Clock, state: dict[str, Any], code: str, sentence: str
) -> None:
    """Each state of section 7 has its gate and its sentence."""
    fake.dag(GOOD, **state)
    async with open_airflow(options(fake, clock)) as api:
        assert await api.gate(GOOD) == Gate(code, sentence)


async def test_broken_dag_names_its_own_error(fake: FakeAirflow, clock: Clock) -> None:
    """The sentence quotes the last line of this file's error, not that of a file whose name holds ours."""
    fake.break_file(GOOD, "Traceback:\nModuleNotFoundError: polars\n\n")
    fake.import_errors[f"old_{GOOD}.py"] = "SyntaxError"
    async with open_airflow(options(fake, clock)) as api:
        gate = await api.gate(GOOD)
    assert gate.code == "dag-broken"
    assert gate.sentence.startswith(f'DAG "{GOOD}" has an import error since ')
    assert gate.sentence.endswith(": ModuleNotFoundError: polars.")


async def test_broken_dag_without_a_readable_error(fake: FakeAirflow, clock: Clock) -> None:
    """Without the right to read import errors the gate is closed all the same."""
    fake.break_file(GOOD, "x")
    with fake.fault("answer", path="importErrors", status=403, body=b'{"detail": "Forbidden"}'):
        async with open_airflow(options(fake, clock)) as api:
            assert await api.gate(GOOD) == Gate("dag-broken", f'DAG "{GOOD}" has an import error.')


def test_hidden_and_old_errors(clock: Clock) -> None:
    """A redacted trace is not quoted, and an error of an earlier day is dated."""
    dag = DagFacts(paused=False, stale=True, broken=True, manual=True, file="a.py", bundle=None)
    hidden = ImportFacts("a.py", None, "REDACTED - you do not have read permission", clock.now())
    old = ImportFacts("a.py", None, "NameError: x.", clock.now() - timedelta(days=2))
    assert gate_of("a", dag, hidden, clock.now()).sentence == (
        'DAG "a" has an import error since 14:00, whose text our user may not read.'
    )
    assert gate_of("a", dag, old, clock.now()).sentence == (
        'DAG "a" has an import error since 2026-11-20 14:00: NameError: x.'
    )


async def test_open_gate_serves_30_seconds_and_closed_5(fake: FakeAirflow, clock: Clock) -> None:
    """An open gate is asked again after 30 s, a closed one after 5 s, either at once when it must be fresh."""
    async with open_airflow(options(fake, clock)) as api:
        await api.gate(GOOD)
        fake.dag(GOOD, paused=True)
        clock.seconds += 29.9
        assert (await api.gate(GOOD)).open
        assert fake.asked("GET", DAG) == 1
        clock.seconds += 0.1
        assert (await api.gate(GOOD)).code == "dag-paused"
        fake.dag(GOOD, paused=False)
        clock.seconds += 4.9
        assert (await api.gate(GOOD)).code == "dag-paused"
        assert (await api.gate(GOOD, fresh=True)).open
        assert fake.asked("GET", DAG) == 3


async def test_refused_trigger_closes_the_gate_for_5_minutes(fake: FakeAirflow, clock: Clock) -> None:
    """After a 403 on the trigger the gate stays closed for 5 min, though the DAG reads well; then it is tried again."""
    fake.dag(GOOD, forbidden=True)
    async with open_airflow(options(fake, clock)) as api:
        answer = await api.trigger(GOOD, new_run_id(), {}, "n", "u")
        expected = f'Airflow user "watcher" may not create runs of DAG "{GOOD}". Grant it: DAG runs, create.'
        assert (answer.kind, answer.code, answer.detail) == ("hold", "airflow-forbidden", expected)
        clock.seconds += 299
        assert await api.gate(GOOD, fresh=True) == Gate("airflow-forbidden", expected)
        assert fake.asked("GET", DAG) == 0
        clock.seconds += 1
        assert (await api.gate(GOOD, fresh=True)).open


async def test_slow_gate_does_not_undo_a_refusal(fake: FakeAirflow, clock: Clock) -> None:
    """A gate that was asked for before the trigger was refused, and ends after it, leaves the refusal standing."""
    fake.dag(GOOD, forbidden=True)
    async with open_airflow(replace(options(fake, clock), deadline=0.5)) as api:
        with fake.fault("hang", method="GET", path=DAG):
            slow = asyncio.create_task(api.gate(GOOD))
            await fake.arrival(1, "GET", DAG)
            await api.trigger(GOOD, new_run_id(), {}, "n", "u")
            assert (await slow).code == "airflow-unreachable"
        assert (await api.gate(GOOD, fresh=True)).code == "airflow-forbidden"


async def test_unreadable_dag_is_forbidden(fake: FakeAirflow, clock: Clock) -> None:
    """A user who may not read the DAG is told what to grant."""
    with fake.fault("answer", path=DAG, status=403, body=b'{"detail": "Forbidden"}'):
        async with open_airflow(options(fake, clock)) as api:
            gate = await api.gate(GOOD)
    assert gate == Gate("airflow-forbidden", f'Airflow user "watcher" may not read DAG "{GOOD}". Grant it: DAGs, read.')


async def test_lost_answer_closes_the_gate(fake: FakeAirflow, clock: Clock) -> None:
    """A gate that cannot be read is closed, and a limit asked for is not an outage."""
    async with open_airflow(options(fake, clock)) as api:
        with fake.fault("drop", path=DAG, times=5):
            assert (await api.gate(GOOD)).code == "airflow-unreachable"
        with fake.fault("answer", path=DAG, status=429):
            assert (await api.gate(GOOD, fresh=True)).code == "airflow-limited"
        with fake.fault("answer", path=DAG, status=200, body=b'{"x": 1}'):
            assert (await api.gate(GOOD, fresh=True)).code == "airflow-address"
        assert api.breaker.state == "closed"


async def test_open_breaker_closes_every_gate(fake: FakeAirflow, clock: Clock) -> None:
    """While the breaker is open a kept open gate does not count, and nothing is asked."""
    async with open_airflow(options(fake, clock)) as api:
        assert (await api.gate(GOOD)).open
        with fake.fault("answer", path=DAG, status=302, times=1):
            await api.gate(GOOD, fresh=True)
        asked = len(fake.seen)
        gate = await api.gate(GOOD)
    assert gate == Gate("airflow-address", "This address is not an Airflow 3 API (HTTP 302, a redirect).")
    assert len(fake.seen) == asked


def test_sentences_of_a_lost_airflow() -> None:
    """The sentences say since when, and never how many changes: the caller knows that."""
    assert lost_gate("airflow-no-answer", "x", " since 13:58") == Gate(
        "airflow-unreachable", "Airflow does not answer since 13:58. Changes are kept and leave when it does."
    )
    assert lost_gate("airflow-token", "x", " since 13:58").sentence == (
        "Airflow refuses our token since 13:58 and a new login did not help. "
        "Look at airflow.password or the token file."
    )
