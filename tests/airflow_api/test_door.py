"""The way of a request through breaker and token, and the way back after an outage."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import pytest

from tests.airflow_api.conftest import Clock
from tests.airflow_api.fake_airflow import FakeAirflow
from tests.airflow_api.rows import GOOD
from tests.airflow_api.world import new_run_id
from watcher.airflow_api import AirflowApi, AirflowOptions, open_airflow
from watcher.errors import AirflowError

RUNS = f"/api/v2/dags/{GOOD}/dagRuns"


def options(fake: FakeAirflow, clock: Clock, **more: Any) -> AirflowOptions:
    return AirflowOptions(
        url=fake.url, username=fake.username, password=lambda: fake.password, clock=clock, now=clock.now, **more
    )


async def send(api: AirflowApi, run_id: str | None = None) -> Any:
    return await api.trigger(GOOD, run_id or new_run_id(), {"watcher": {"uid": "u"}}, "n", "u")


async def test_secret_change_costs_one_login(fake: FakeAirflow, clock: Clock) -> None:
    """After Airflow's secret changed twenty callers share one login, and every request is sent once more."""
    async with open_airflow(options(fake, clock)) as api:
        assert (await api.gate(GOOD)).open
        fake.secret = secrets.token_hex(32)
        gates = await asyncio.gather(*(api.gate(GOOD, fresh=True) for _ in range(20)))
    assert all(gate.open for gate in gates)
    assert fake.logins == 2


async def test_expired_token_is_renewed(fake: FakeAirflow, clock: Clock) -> None:
    """A token that Airflow takes for expired, whatever our clock says, is renewed and the batch delivered."""
    async with open_airflow(options(fake, clock)) as api:
        with fake.fault("answer", path=RUNS, status=401, body=b'{"detail": "Token Expired"}'):
            answer = await send(api)
        assert api.token_expires_at is not None
    assert (answer.kind, answer.answer, fake.logins) == ("confirmed", "created", 2)


async def test_token_refused_twice_opens_the_breaker(fake: FakeAirflow, clock: Clock) -> None:
    """One login and one more try, then the breaker opens; nothing was created, so the batch is only held."""
    refused = b'{"detail": "Invalid JWT token"}'
    async with open_airflow(options(fake, clock)) as api:
        with fake.fault("answer", path=RUNS, status=403, body=refused, times=9):
            answer = await send(api)
        held = await send(api)
    assert (answer.kind, answer.code, answer.answer) == ("hold", "airflow-token", "token")
    assert (fake.asked("POST", RUNS), fake.logins) == (2, 2)
    assert (api.breaker.state, api.breaker.reason, api.breaker.since) == ("open", "airflow-token", clock.now())
    assert (held.kind, held.code, held.answer) == ("not-sent", "airflow-token", "not-sent")


async def test_given_token_is_not_sent_twice(fake: FakeAirflow, clock: Clock) -> None:
    """A given token that was refused is sent again only when it changed meanwhile."""
    given = ["stale"]
    asked = AirflowOptions(url=fake.url, token=lambda: given[-1], clock=clock, now=clock.now)
    async with open_airflow(asked) as api:
        assert (await send(api)).code == "airflow-token"
    assert fake.asked("POST", RUNS) == 1


async def test_five_lost_answers_open_it_and_a_good_look_brings_it_back(fake: FakeAirflow, clock: Clock) -> None:
    """Five answers in a row that say nothing open the breaker; 15 s later a look and one request close it, unasked."""
    async with open_airflow(options(fake, clock)) as api:
        with fake.fault("answer", path=RUNS, status=500, times=5):
            kinds = [(await send(api)).kind for _ in range(5)]
        assert kinds == ["unknown"] * 5
        assert (api.breaker.state, api.breaker.reason) == ("open", "airflow-unreachable")
        gate = await api.gate(GOOD)
        assert (gate.code, fake.asked("GET", "health")) == ("airflow-unreachable", 0)
        clock.seconds += 15
        assert (await api.gate(GOOD)).open
        assert (api.breaker.state, fake.asked("GET", "health")) == ("closed", 1)


async def test_refusals_about_one_dag_do_not_open_it(fake: FakeAirflow, clock: Clock) -> None:
    """A sick DAG closes its own gate and leaves all others alone."""
    async with open_airflow(options(fake, clock)) as api:
        for _ in range(6):
            await api.trigger("nowhere", new_run_id(), {}, "n", "u")
        body = b'{"detail": "An error occurred while trying to deserialize Dag: x"}'
        with fake.fault("answer", path=RUNS, status=500, body=body, times=6):
            for _ in range(6):
                await send(api)
        assert api.breaker.state == "closed"


async def test_one_of_twenty_passes_when_half_open(fake: FakeAirflow, clock: Clock) -> None:
    """While the first request after an outage is on its way, nineteen others are told to wait."""
    async with open_airflow(options(fake, clock)) as api:
        await api.gate(GOOD)
        with fake.fault("drop", path=RUNS, times=5):
            for _ in range(5):
                await send(api)
        clock.seconds += 15
        await api.probe()
        assert api.breaker.state == "half-open"
        with fake.fault("hang"):
            first = asyncio.create_task(send(api))
            await fake.arrival(6)
            others = await asyncio.gather(*(send(api) for _ in range(19)))
            assert {(other.kind, other.code) for other in others} == {("not-sent", "airflow-unreachable")}
            assert fake.asked("POST", RUNS) == 6
            first.cancel()
            await asyncio.wait([first])
        assert (await send(api)).answer == "created"
        assert api.breaker.state == "closed"


async def test_unhealthy_database_keeps_it_open(fake: FakeAirflow, clock: Clock) -> None:
    """Health answers 200 whatever is wrong: only a healthy metadata database in the body counts."""
    async with open_airflow(options(fake, clock)) as api:
        with fake.fault("answer", path=RUNS, status=500, times=5):
            for _ in range(5):
                await send(api)
        fake.healthy = False
        clock.seconds += 15
        with pytest.raises(AirflowError, match="database") as caught:
            await api.probe()
        assert caught.value.code == "airflow-unreachable"
        with pytest.raises(AirflowError):
            await api.probe()
        assert (api.breaker.state, fake.asked("GET", "health")) == ("open", 1)
        fake.healthy = True
        clock.seconds += 15
        await api.probe()
        assert (api.breaker.state, fake.asked("GET", "health")) == ("half-open", 2)


async def test_probe_logs_in_while_the_token_is_refused(fake: FakeAirflow, clock: Clock) -> None:
    """While the token is the trouble, the look tries one login; the mended password brings everything back."""
    password, fake.password = fake.password, "changed"
    mended = AirflowOptions(url=fake.url, username="watcher", password=lambda: password, clock=clock, now=clock.now)
    async with open_airflow(mended) as api:
        assert (await send(api)).code == "airflow-token"
        clock.seconds += 15
        with pytest.raises(AirflowError) as caught:
            await api.probe()
        assert (caught.value.code, fake.logins) == ("airflow-token", 2)
        fake.password = password
        clock.seconds += 15
        await api.probe()
        assert (await send(api)).answer == "created"
        assert fake.logins == 3


async def test_probe_of_a_healthy_airflow_changes_nothing(fake: FakeAirflow, clock: Clock) -> None:
    """A look while all is well needs no login and leaves the breaker closed, and so does a bad one."""
    async with open_airflow(options(fake, clock)) as api:
        await api.probe()
        with fake.fault("drop", path="health", times=3), pytest.raises(AirflowError):
            await api.probe()
        assert (api.breaker.state, api.breaker.reason, fake.logins) == ("closed", None, 0)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"status": 200, "body": b"<html>"}, "airflow-address"),
        ({"status": 200, "body": b'{"status": "ok"}'}, "airflow-address"),
        ({"status": 302}, "airflow-address"),
        ({"status": 503}, "airflow-unreachable"),
        ({"status": 403, "body": b'{"detail": "no"}'}, "airflow-unreachable"),
        ({"status": 429}, "airflow-limited"),
    ],
)
async def test_health_that_is_none(fake: FakeAirflow, clock: Clock, fault: dict[str, Any], code: str) -> None:
    """Whatever answers in Airflow's place is named for what it is."""
    async with open_airflow(options(fake, clock)) as api:
        with fake.fault("answer", path="health", **fault), pytest.raises(AirflowError) as caught:
            await api.health()
    assert caught.value.code == code


async def test_health_tells_version_and_parts(fake: FakeAirflow, clock: Clock) -> None:
    """Health carries version, parts, latency and the difference of the clocks; a silent date is none."""
    async with open_airflow(options(fake, clock)) as api:
        health = await api.health()
        with fake.fault("answer", path="version", status=500):
            assert (await api.health()).version is None
    assert (health.version, health.metadatabase, health.scheduler, health.latency) == (
        "3.3.2",
        "healthy",
        "healthy",
        0.0,
    )
    assert health.clock_ahead is not None


async def test_token_never_shows_in_an_answer(fake: FakeAirflow, clock: Clock) -> None:
    """A server that echoes our token does not get it into our texts."""
    token = "s3cret-t0ken"
    given = AirflowOptions(url=fake.url, token=lambda: token, clock=clock, now=clock.now)
    with fake.fault("answer", status=422, body=b'{"detail": "Bearer s3cret-t0ken?"}', times=2):
        async with open_airflow(given) as api:
            answer = await send(api)
    assert "***?" in answer.detail
    assert token not in repr(answer)
