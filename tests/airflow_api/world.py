"""What the contract suite needs of an Airflow, real or not, beside its REST API."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

import aiohttp

from tests.airflow_api.fake_tokens import claims_of, make_token, sign
from tests.airflow_api.rows import RUN, Send
from watcher.airflow_api import AirflowOptions
from watcher.pipeline.run import make_run_id

_numbers = itertools.count(int(time.time()) % 900_000 * 100)


class World(Protocol):
    """An Airflow with the DAGs of the rows: good, paused, limited (n at most 10), needy (must is required), broken."""

    url: str
    username: str
    password: str
    secret: str

    async def set_paused(self, dag_id: str, paused: bool) -> None:
        """As a person does it in the UI."""

    async def break_file(self) -> None:
        """The file of the broken DAG gets an import error that ends in `ValueError: out of paint`."""

    async def mend_file(self) -> None:
        """That file is good again, and its DAG can be triggered."""

    async def delete_run(self, dag_id: str, run_id: str) -> None:
        """As a person does it; the run is not running."""

    async def run_task(self, dag_id: str, task_id: str) -> datetime:
        """One run of the DAG has ended with this task in it; when."""


def new_run_id() -> str:
    """A run id of ours that nobody used."""
    return make_run_id(datetime.now(UTC), next(_numbers))


def options_of(world: World, **more: Any) -> AirflowOptions:
    """How our client reaches it."""
    options = AirflowOptions(url=world.url, username=world.username, password=lambda: world.password)
    return replace(options, **more)


def token_of(world: World, kind: str) -> str | None:
    """A token of the kind that a row names."""
    now = int(time.time())
    match kind:
        case "none":
            return None
        case "garbage":
            return "garbage"
        case "tampered":
            head, _, mac = make_token(world.secret, world.username).split(".")
            other = sign(world.secret, claims_of(make_token(world.secret, "admin", "admin"))).split(".")[1]
            return f"{head}.{other}.{mac}"
        case "foreign":
            return make_token("another secret" * 8, world.username)
        case "early":
            return make_token(world.secret, world.username, nbf=now + 600)
        case "expired":
            return make_token(world.secret, world.username, iat=now - 100, nbf=now - 100, exp=now - 60)
        case "leeway":
            return make_token(world.secret, world.username, iat=now - 100, nbf=now - 100, exp=now - 5)
        case "viewer":
            return make_token(world.secret, world.username, "viewer")
    return make_token(world.secret, world.username)


async def provoke(world: World, send: Send) -> tuple[int, str]:
    """Sends what a row says, after what must be there before; status and text of the answer."""
    run_id = new_run_id()
    async with aiohttp.ClientSession() as session:
        for body in send.before:
            status, text = await _request(session, world, replace(send, body=body, token="good"), run_id)
            assert status == 200, text
        return await _request(session, world, send, run_id)


async def _request(session: aiohttp.ClientSession, world: World, send: Send, run_id: str) -> tuple[int, str]:
    body = send.body
    if isinstance(body, dict) and isinstance(body.get("dag_run_id"), str):
        body = body | {"dag_run_id": body["dag_run_id"].replace(RUN, run_id)}
    headers = {"Content-Type": send.content_type}
    if token := token_of(world, send.token):
        headers["Authorization"] = f"Bearer {token}"
    data = body if isinstance(body, str) or body is None else aiohttp.JsonPayload(body)
    async with session.request(send.method, world.url + send.path, data=data, headers=headers) as response:
        return response.status, await response.text()
