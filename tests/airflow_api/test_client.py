"""Delivering one batch: every way it can end, and that it never ends twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.airflow_api.fake_airflow import FakeAirflow, running_fake
from tests.airflow_api.rows import GOOD
from tests.airflow_api.world import new_run_id
from watcher.airflow_api import AirflowApi, AirflowOptions, Answer, open_airflow

RUNS = f"/api/v2/dags/{GOOD}/dagRuns"
CONF = {"watcher": {"uid": "ours", "batch": "b000001"}}


@pytest.fixture
async def api(fake: FakeAirflow) -> AsyncIterator[AirflowApi]:
    options = AirflowOptions(url=fake.url, username=fake.username, password=lambda: fake.password, deadline=10)
    async with open_airflow(options) as opened:
        yield opened


async def send(api: AirflowApi, run_id: str, uid: str = "ours") -> Answer:
    return await api.trigger(GOOD, run_id, CONF, "12 changes", uid)


async def test_request_is_exactly_what_airflow_takes(fake: FakeAirflow, api: AirflowApi) -> None:
    """One POST without a trailing slash, four keys, no Referer, so the run is triggered by rest_api."""
    await send(api, run_id := new_run_id())
    posts = [one for one in fake.seen if one.path == RUNS]
    assert [one.method for one in posts] == ["POST"]
    body = json.loads(posts[0].body)
    assert body == {"dag_run_id": run_id, "logical_date": None, "conf": CONF, "note": "12 changes"}
    assert fake.runs[GOOD, run_id]["triggered_by"] == "rest_api"


@pytest.mark.parametrize(
    "run_id",
    [
        "",
        "manual__1",
        "watcher__../x",
        "watcher__20261122T141006Z__b17",
        "watcher__20261122T141006Z__b000017\n",
        f"watcher__20261122T141006Z__b{'1' * 60}",
    ],
)
async def test_foreign_run_ids_are_never_sent(fake: FakeAirflow, api: AirflowApi, run_id: str) -> None:
    """What is not one of our run ids is refused before a byte: Airflow takes some that break the run later."""
    answer = await send(api, run_id)
    assert (answer.kind, answer.code) == ("refused", "run-id-refused")
    assert fake.seen == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}])
async def test_conf_that_is_no_json_is_never_sent(fake: FakeAirflow, api: AirflowApi, value: Any) -> None:
    """A conf that no JSON can carry is refused before a byte."""
    answer = await api.trigger(GOOD, new_run_id(), {"x": value}, "n", "ours")
    assert (answer.kind, answer.code) == ("refused", "request-refused")
    assert fake.seen == []


LOST = {
    "the answer is lost": {"kind": "drop"},
    "500": {"kind": "answer", "status": 500},
    "502 of a proxy": {"kind": "answer", "status": 502, "body": b"<html>"},
    "half an answer": {"kind": "answer", "status": 200, "body": b'{"dag_run_id":'},
    "another run": {"kind": "answer", "status": 200, "body": b'{"dag_id": "x", "dag_run_id": "y", "state": "queued"}'},
    "a login page": {"kind": "answer", "status": 200, "body": b"<html>"},
}


@pytest.mark.parametrize("after", [True, False], ids=["committed", "not committed"])
@pytest.mark.parametrize("how", LOST)
async def test_lost_answer_is_unknown_then_verified(fake: FakeAirflow, api: AirflowApi, how: str, after: bool) -> None:
    """Without a readable answer the batch is unknown, whether its run exists or not; verifying tells which."""
    run_id = new_run_id()
    with fake.fault(method="POST", path=RUNS, after=after, **LOST[how]):
        answer = await send(api, run_id)
    assert answer.kind == "unknown"
    assert answer.code in ("airflow-no-answer", "airflow-address")
    if api.breaker.state == "open":
        return
    verified = await api.verify(GOOD, run_id, "ours")
    assert verified.kind == ("confirmed" if after else "absent")
    assert (await send(api, run_id)).answer == ("already-there" if after else "created")
    assert len(fake.runs) == 1


async def test_hanging_airflow_is_unknown_at_the_deadline(fake: FakeAirflow) -> None:
    """A send that gets no answer in time is unknown, and the run that came of it later is found as ours."""
    options = AirflowOptions(url=fake.url, username=fake.username, password=lambda: fake.password, deadline=0.2)
    async with open_airflow(options) as api:
        await api.gate(GOOD)
        with fake.fault("hang", method="POST", path=RUNS, after=True):
            answer = await send(api, run_id := new_run_id())
        assert (answer.kind, answer.code, answer.answer) == ("unknown", "airflow-no-answer", "no-answer")
        assert (await api.verify(GOOD, run_id, "ours")).kind == "confirmed"


async def test_away_is_not_sent() -> None:
    """Nobody listens: not sent, not unknown; five of them open the breaker."""
    async with running_fake() as fake:
        url = fake.url
    async with open_airflow(AirflowOptions(url=url, token=lambda: "t")) as api:
        answers = [await send(api, new_run_id()) for _ in range(5)]
        assert {(a.kind, a.code, a.answer) for a in answers} == {("not-sent", "airflow-unreachable", "not-sent")}
        assert api.breaker.state == "open"


async def test_back_on_the_same_port(fake: FakeAirflow) -> None:
    """A send that found nobody goes out once Airflow listens again."""
    async with running_fake() as other:
        other.dag(GOOD)
        options = AirflowOptions(url=other.url, username=other.username, password=lambda: other.password)
    async with open_airflow(options) as api:
        assert (await send(api, run_id := new_run_id())).kind == "not-sent"
        async with running_fake(other):
            assert (await send(api, run_id)).answer == "created"


async def test_conflict_is_ours_foreign_or_gone(fake: FakeAirflow, api: AirflowApi) -> None:
    """A 409 is looked up: our uid confirms, another or none is foreign, a run that is gone is sent again later."""
    await send(api, run_id := new_run_id())
    assert (await send(api, run_id)).answer == "already-there"
    foreign = await send(api, run_id, uid="theirs")
    assert (foreign.kind, foreign.code, foreign.answer) == ("foreign", "foreign-run", "foreign-run")
    fake.runs[GOOD, run_id]["conf"] = {"no": "watcher"}
    assert (await send(api, run_id)).kind == "foreign"
    with fake.fault("answer", method="POST", path=RUNS, status=409):
        gone = await send(api, new_run_id())
    assert (gone.kind, gone.answer) == ("absent", "not-found")


async def test_conflict_that_cannot_be_looked_up_is_unknown(fake: FakeAirflow, api: AirflowApi) -> None:
    """A 409 whose look-up fails claims nothing."""
    await send(api, run_id := new_run_id())
    with fake.fault("answer", method="GET", path=RUNS, status=500):
        answer = await send(api, run_id)
    assert (answer.kind, answer.code) == ("unknown", "airflow-no-answer")
    assert answer.detail.startswith("HTTP 409: Unique constraint violation, ID ")
    assert answer.detail.endswith("; then HTTP 500")


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, b'{"detail": "Invalid input for param n: no"}', "params-refused"),
        (400, b'{"detail": "does not match regex pattern"}', "run-id-refused"),
        (400, b'{"detail": "something new"}', "request-refused"),
        (415, b"{}", "request-refused"),
        (422, b'{"detail": []}', "request-refused"),
        (413, b"<html>", "request-refused"),
    ],
)
async def test_refusal_stands_only_without_a_run(
    fake: FakeAirflow, api: AirflowApi, status: int, body: bytes, code: str
) -> None:
    """A refused batch is parked only when no run of it exists; a run of an earlier try confirms it."""
    fault: dict[str, Any] = {"kind": "answer", "method": "POST", "path": RUNS, "status": status, "body": body}
    with fake.fault(**fault):
        refused = await send(api, new_run_id())
    assert (refused.kind, refused.code, refused.answer) == ("refused", code, "refused")
    await send(api, run_id := new_run_id())
    with fake.fault(**fault):
        assert (await send(api, run_id)).answer == "already-there"
    with fake.fault(**fault), fake.fault("drop", method="GET", path=RUNS, times=3):
        assert (await send(api, new_run_id())).kind == "unknown"


@pytest.mark.parametrize(("status", "kind"), [(302, "hold"), (404, "hold"), (405, "hold")])
async def test_wrong_address_opens_the_breaker(fake: FakeAirflow, api: AirflowApi, status: int, kind: str) -> None:
    """What is not Airflow's API stops all requests at once."""
    with fake.fault("answer", method="POST", path=RUNS, status=status, body=b'{"error": "API route not found"}'):
        answer = await send(api, new_run_id())
    assert (answer.kind, answer.code, answer.answer) == (kind, "airflow-address", "unavailable")
    assert (api.breaker.state, api.breaker.reason) == ("open", "airflow-address")


async def test_limit_is_obeyed(fake: FakeAirflow, api: AirflowApi) -> None:
    """A 429 holds the batch for as long as asked, and is no outage."""
    headers = {"Retry-After": "7"}
    with fake.fault("answer", method="POST", path=RUNS, status=429, headers=headers):
        answer = await send(api, new_run_id())
    assert (answer.kind, answer.code, answer.retry_after) == ("hold", "airflow-limited", 7.0)
    assert api.breaker.state == "closed"


async def test_unknown_dag_is_diagnosed(fake: FakeAirflow, api: AirflowApi) -> None:
    """A trigger answered as for an unknown DAG tells why: here a broken file."""
    fake.break_file(GOOD, "ValueError: x")
    answer = await send(api, new_run_id())
    assert (answer.kind, answer.code, answer.answer) == ("hold", "dag-broken", "not-found")
    assert answer.detail.endswith(": ValueError: x.")
    fake.mend_file(GOOD)
    missing = b'{"detail": "Dag with dag_id: \'x\' not found"}'
    with fake.fault("answer", method="POST", path=RUNS, status=404, body=missing):
        answer = await send(api, new_run_id())
    assert (answer.kind, answer.code) == ("hold", "dag-unknown")


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "drop", "times": 3},
        {"kind": "answer", "status": 500},
        {"kind": "answer", "status": 404, "body": b'{"error": "API route not found"}'},
        {"kind": "answer", "status": 404, "body": b"<html>"},
        {"kind": "answer", "status": 403, "body": b'{"detail": "Forbidden"}'},
        {"kind": "answer", "status": 429},
        {"kind": "answer", "status": 200, "body": b"{}"},
        {"kind": "answer", "status": 200, "body": b"<html>"},
        {"kind": "answer", "status": 302},
    ],
)
async def test_verify_claims_only_what_it_saw(fake: FakeAirflow, api: AirflowApi, fault: dict[str, Any]) -> None:
    """Whatever is not the run itself or Airflow's own 404 for it leaves the batch unknown."""
    await send(api, run_id := new_run_id())
    with fake.fault(path=run_id, **fault):
        answer = await api.verify(GOOD, run_id, "ours")
    assert answer.kind == "unknown"
    assert answer.code is not None


async def test_newer_state_is_confirmed(fake: FakeAirflow, api: AirflowApi) -> None:
    """A state that our models do not know is passed on, not tripped over."""
    await send(api, run_id := new_run_id())
    fake.runs[GOOD, run_id]["state"] = "draining"
    assert (await api.verify(GOOD, run_id, "ours")).run_state == "draining"


async def test_cancelled_send_leaves_the_client_usable(fake: FakeAirflow, api: AirflowApi) -> None:
    """A send that is cancelled is no failure for the breaker, and the same batch can be sent again."""
    for _ in range(6):
        with fake.fault("hang", method="POST", path=RUNS):
            before = fake.asked("POST", RUNS)
            task = asyncio.create_task(send(api, run_id := new_run_id()))
            await fake.arrival(before + 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    assert api.breaker.state == "closed"
    assert (await send(api, run_id)).answer == "created"


async def test_eight_sends_of_one_batch_make_one_run(fake: FakeAirflow, api: AirflowApi) -> None:
    """The same batch sent eight times at once is one run, and each send says so."""
    run_id = new_run_id()
    answers = await asyncio.gather(*(send(api, run_id) for _ in range(8)))
    assert sorted(answer.answer for answer in answers) == ["already-there"] * 7 + ["created"]
    assert len(fake.runs) == 1
    assert fake.logins == 1
