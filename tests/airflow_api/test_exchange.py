"""One exchange against a real server that hangs, cuts, redirects, floods and lies about its certificate."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from tests.airflow_api.fake_airflow import FakeAirflow, running_fake
from tests.airflow_api.rows import GOOD
from watcher.airflow_api.answers import Lost, Reply
from watcher.airflow_api.exchange import LARGEST_ANSWER, Exchange, Request, code_of, open_session
from watcher.airflow_api.options import AirflowOptions, tls

POST = Request("trigger", "POST", f"/api/v2/dags/{GOOD}/dagRuns", data=b"{}")
HEALTH = Request("health", "GET", "/api/v2/monitor/health")
CERTIFICATE = Path(__file__).with_name("throwaway_certificate.pem")


@asynccontextmanager
async def exchange(base: str, ca_file: Path | None = None) -> AsyncIterator[tuple[Exchange, list[tuple[str, str]]]]:
    heard: list[tuple[str, str]] = []
    async with open_session(tls(AirflowOptions(url=base, ca_file=ca_file))) as session:
        loop = asyncio.get_running_loop()
        yield Exchange(session, base, loop.time, lambda operation, code, _: heard.append((operation, code))), heard


def soon(seconds: float = 10) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_refused_connection_was_not_sent() -> None:
    """Nobody listens: nothing was sent, and the observer hears of it."""
    async with running_fake() as fake:
        base = fake.url
    async with exchange(base) as (door, heard):
        outcome = await door.send(POST, soon())
    assert isinstance(outcome, Lost)
    assert not outcome.sent
    assert outcome.why.startswith("no connection: ")
    assert heard == [("trigger", "none")]


async def test_unknown_host_was_not_sent() -> None:
    """A name that nobody knows is before any byte."""
    async with exchange("http://nobody.invalid") as (door, _):
        outcome = await door.send(POST, soon())
    assert isinstance(outcome, Lost)
    assert not outcome.sent


async def test_hanging_server_is_left_at_the_deadline(fake: FakeAirflow) -> None:
    """A server that takes the request and says nothing is left in time, and a byte may have reached it."""
    with fake.fault("hang"):
        async with exchange(fake.url) as (door, heard):
            outcome = await door.send(POST, soon(0.05))
    assert outcome == Lost(True, "no answer in time")
    assert heard == [("trigger", "none")]


async def test_deadline_bounds_a_dripping_body() -> None:
    """The deadline is for the whole exchange: a body that never ends does not prolong it."""

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"{")
        await asyncio.Event().wait()
        return response

    async with serving(drip) as base, exchange(base) as (door, _):
        outcome = await door.send(POST, soon(0.1))
    assert outcome == Lost(True, "no answer in time")


async def test_cut_connection_may_have_sent(fake: FakeAirflow) -> None:
    """A connection that is reset without an answer leaves the request unknown."""
    with fake.fault("drop"):
        async with exchange(fake.url) as (door, _):
            outcome = await door.send(POST, soon())
    assert isinstance(outcome, Lost)
    assert outcome.sent


async def test_body_that_breaks_off_is_no_answer() -> None:
    """Headers without the whole body are not an answer."""

    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"dag_run_id":')
        assert request.transport is not None
        request.transport.close()
        return response

    async with serving(half) as base, exchange(base) as (door, _):
        outcome = await door.send(POST, soon())
    assert isinstance(outcome, Lost)
    assert outcome.sent


async def test_huge_answer_is_cut() -> None:
    """An endless answer is read up to 4 MiB and no further."""
    written = 0

    async def flood(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)
            written += 65536

    async with serving(flood) as base, exchange(base) as (door, _):
        outcome = await door.send(HEALTH, soon())
    assert isinstance(outcome, Reply)
    assert len(outcome.body) == LARGEST_ANSWER
    assert written < 4 * LARGEST_ANSWER


async def test_redirect_is_not_followed(fake: FakeAirflow) -> None:
    """A redirect is an answer of its own: the token goes nowhere else."""
    async with running_fake() as other:
        headers = {"Location": other.url + HEALTH.path}
        with fake.fault("answer", status=307, headers=headers):
            async with exchange(fake.url) as (door, _):
                outcome = await door.send(HEALTH, soon(), token="secret")
        assert isinstance(outcome, Reply)
        assert outcome.status == 307
        assert other.seen == []


async def test_what_is_sent(fake: FakeAirflow) -> None:
    """The bearer token and JSON go out, no Referer, no cookie, no compression asked for, whatever the server sets."""
    with fake.fault("answer", status=200, headers={"Set-Cookie": "a=b"}):
        async with exchange(fake.url) as (door, _):
            for _ in range(2):
                await door.send(POST, soon(), token="secret")
    headers = fake.seen[-1].headers
    assert headers["Authorization"] == "Bearer secret"
    assert headers["Content-Type"] == "application/json"
    assert headers["Accept-Encoding"] == "identity"
    assert not {"Referer", "Cookie"} & set(headers)


async def test_proxies_of_the_environment_are_ignored(fake: FakeAirflow, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy in the environment gets no token of ours."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    async with exchange(fake.url) as (door, _):
        outcome = await door.send(HEALTH, soon())
    assert isinstance(outcome, Reply)


async def test_cancelled_request_leaves_the_session_usable(fake: FakeAirflow) -> None:
    """Cancelling one request in mid-air harms no other."""
    async with exchange(fake.url) as (door, heard):
        with fake.fault("hang"):
            task = asyncio.create_task(door.send(POST, soon()))
            await fake.arrival(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert isinstance(await door.send(HEALTH, soon()), Reply)
    assert heard == [("health", "2xx")]


async def test_certificates_are_verified() -> None:
    """An unknown certificate ends the exchange before any byte; with its own CA file it is trusted."""

    async def fine(_: web.Request) -> web.Response:
        return web.json_response({})

    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(CERTIFICATE)
    async with serving(fine, server) as base:
        async with exchange(base) as (door, _):
            assert await door.send(POST, soon()) == Lost(False, "its TLS certificate cannot be verified")
        async with exchange(base, CERTIFICATE) as (door, _):
            assert isinstance(await door.send(POST, soon()), Reply)
        async with exchange(base.replace("127.0.0.1", "localhost"), CERTIFICATE) as (door, _):
            assert await door.send(POST, soon()) == Lost(False, "its TLS certificate cannot be verified")


async def test_tls_to_a_plain_server_was_not_sent(fake: FakeAirflow) -> None:
    """A handshake that fails is before any byte of ours."""
    async with exchange(fake.url.replace("http:", "https:")) as (door, _):
        assert await door.send(POST, soon()) == Lost(False, "TLS failed")


@pytest.mark.parametrize(
    ("status", "code"),
    [(200, "2xx"), (302, "none"), (400, "4xx"), (401, "401"), (403, "403"), (404, "404"), (409, "409"), (500, "5xx")],
)
def test_codes_are_a_closed_list(status: int, code: str) -> None:
    """The metric's code is one of eight words."""
    assert code_of(Reply(status, {}, b"")) == code


@asynccontextmanager
async def serving(handler: object, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{anything:.*}", handler)  # type: ignore[arg-type]
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield f"http{'s' if context else ''}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
