"""A stand-in for Airflow's REST API over real HTTP: answers as measured, quirks included, and breaks as it is told."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

from tests.airflow_api import fake_rules as rules
from tests.airflow_api.fake_rules import FakeDag, RefusedError, moment
from tests.airflow_api.fake_tokens import claims_of, make_token, refusal

Handler = Callable[[web.Request], Any]

HTML = "<!doctype html><html><body>Airflow</body></html>"


@dataclass
class Fault:
    """What happens instead of an answer, or, `after` the request was served, to its answer.

    hang: no answer until the client goes; drop: the connection is cut; answer: this status, body and headers.
    It happens `times` times, after `skip` requests that it lets through.
    """

    kind: Literal["hang", "drop", "answer"]
    method: str = ""
    path: str = ""
    after: bool = False
    status: int = 500
    body: bytes = b"Internal Server Error"
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "text/plain"})
    times: int = 1
    skip: int = 0

    def meets(self, request: web.Request) -> bool:
        return self.times > 0 and request.method.startswith(self.method) and self.path in request.path


@dataclass
class Seen:
    """One request that arrived."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


class FakeAirflow:
    """State and routes. Change the attributes at will: they are Airflow's own database."""

    def __init__(self) -> None:
        self.port = 0
        self.username, self.password = "watcher", "correct horse"
        self.secret = secrets.token_hex(32)
        self.token_life = 86400.0
        self.open_logins = False
        self.healthy = True
        self.largest_page = 100
        self.dags: dict[str, FakeDag] = {}
        self.runs: dict[tuple[str, str], dict[str, Any]] = {}
        self.import_errors: dict[str, str] = {}
        self.seen: list[Seen] = []
        self.logins = 0
        self._faults: list[Fault] = []
        self._arrived = asyncio.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def dag(self, dag_id: str, **state: Any) -> FakeDag:
        """A DAG as it is now, made when it is not there."""
        dag = self.dags.setdefault(dag_id, FakeDag(dag_id))
        for name, value in state.items():
            setattr(dag, name, value)
        return dag

    def break_file(self, dag_id: str, trace: str) -> None:
        """An import error: it makes the DAG stale and broken at once."""
        dag = self.dag(dag_id, stale=True, broken=True)
        self.import_errors[dag.relative_file] = trace

    def mend_file(self, dag_id: str) -> None:
        dag = self.dag(dag_id, stale=False, broken=False)
        self.import_errors.pop(dag.relative_file, None)

    @contextmanager
    def fault(self, kind: Literal["hang", "drop", "answer"], **how: Any) -> Iterator[Fault]:
        """The next `times` requests that meet it fail like this."""
        fault = Fault(kind, **how)
        self._faults.append(fault)
        try:
            yield fault
        finally:
            self._faults.remove(fault)

    def asked(self, method: str, path: str) -> int:
        """How many requests of this kind arrived."""
        return sum(1 for one in self.seen if one.method == method and path in one.path)

    async def arrival(self, count: int, method: str = "POST", path: str = "/dagRuns") -> None:
        """Waits until `count` such requests have arrived."""
        async with asyncio.timeout(10), self._arrived:
            await self._arrived.wait_for(lambda: self.asked(method, path) >= count)

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._record_and_break, _refusals], client_max_size=32 * 1024 * 1024)
        app.router.add_post("/auth/token", self._login)
        app.router.add_get("/auth/token", self._open_login)
        app.router.add_get("/api/v2/monitor/health", self._health)
        app.router.add_get("/api/v2/version", self._version)
        app.router.add_get("/api/v2/importErrors", self._import_errors)
        app.router.add_get("/api/v2/dags/{dag_id}", self._get_dag)
        app.router.add_get("/api/v2/dags/{dag_id}/details", self._get_details)
        app.router.add_get("/api/v2/dags/{dag_id}/dagRuns/~/taskInstances", self._list_task_instances)
        app.router.add_patch("/api/v2/dags/{dag_id}", self._patch_dag)
        app.router.add_post("/api/v2/dags/{dag_id}/dagRuns", self._trigger)
        app.router.add_get("/api/v2/dags/{dag_id}/dagRuns", self._list_runs)
        app.router.add_get("/api/v2/dags/{dag_id}/dagRuns/{run_id}", self._get_run)
        app.router.add_delete("/api/v2/dags/{dag_id}/dagRuns/{run_id}", self._delete_run)
        app.router.add_route("*", "/{anything:.*}", _unknown_route)
        return app

    @web.middleware
    async def _record_and_break(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        body = await request.read()
        self.seen.append(Seen(request.method, request.path, request.query_string, dict(request.headers), body))
        async with self._arrived:
            self._arrived.notify_all()
        fault = next((fault for fault in self._faults if fault.meets(request)), None)
        if fault is None:
            return await handler(request)
        if fault.skip > 0:
            fault.skip -= 1
            return await handler(request)
        fault.times -= 1
        if fault.after:
            await handler(request)
        if fault.kind == "hang":
            await asyncio.Event().wait()
        if fault.kind == "drop":
            assert request.transport is not None
            request.transport.abort()
        return web.Response(status=fault.status, body=fault.body, headers=fault.headers)

    def _user(self, request: web.Request) -> str:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if found := refusal(self.secret, token):
            raise RefusedError(*found)
        return str(claims_of(token)["sub"])

    async def _login(self, request: web.Request) -> web.Response:
        self.logins += 1
        kind = request.content_type
        if kind not in ("application/json", "application/x-www-form-urlencoded"):
            return _json({"detail": f"Unsupported Media Type. Only application/json or {FORM} is supported."}, 415)
        if kind == "application/json":
            try:
                body = json.loads(await request.read())
            except ValueError:
                return web.Response(status=500, text="Internal Server Error")
        else:
            body = dict(await request.post())
        if not {"username", "password"} <= set(body):
            return _json({"detail": "1 validation error for LoginBody\npassword\n  Field required"}, 422)
        if (body["username"], body["password"]) != (self.username, self.password):
            raise RefusedError(401, "Invalid credentials")
        return _json({"access_token": make_token(self.secret, self.username, life=self.token_life)}, 201)

    async def _open_login(self, _: web.Request) -> web.Response:
        if not self.open_logins:
            text = "This method is only allowed if ``[core] simple_auth_manager_all_admins`` is True"
            raise RefusedError(403, text)
        return _json({"access_token": make_token(self.secret, "Anonymous", "admin", life=self.token_life)}, 201)

    async def _health(self, _: web.Request) -> web.Response:
        """200 whatever is wrong: only the body tells."""
        word, beat = ("healthy", moment()) if self.healthy else ("unhealthy", None)
        return _json(
            {
                "metadatabase": {"status": word},
                "scheduler": {"status": word, "latest_scheduler_heartbeat": beat},
                "triggerer": {"status": None, "latest_triggerer_heartbeat": None},
                "dag_processor": {"status": word, "latest_dag_processor_heartbeat": beat},
            }
        )

    async def _version(self, _: web.Request) -> web.Response:
        return _json({"version": "3.3.2", "git_version": None})

    async def _get_dag(self, request: web.Request) -> web.Response:
        return _json(self._known(request).body())

    async def _get_details(self, request: web.Request) -> web.Response:
        return _json(self._known(request).details())

    async def _list_task_instances(self, request: web.Request) -> web.Response:
        found = self._known(request).task_instances(request.query)
        limit, start = min(int(request.query["limit"]), self.largest_page), int(request.query.get("offset", 0))
        return _json({"task_instances": found[start : start + limit], "total_entries": len(found)})

    def _known(self, request: web.Request) -> FakeDag:
        self._user(request)
        dag_id = request.match_info["dag_id"]
        if dag_id not in self.dags:
            raise RefusedError(404, f"The Dag with ID: `{dag_id}` was not found")
        return self.dags[dag_id]

    async def _patch_dag(self, request: web.Request) -> web.Response:
        self._user(request)
        dag = self.dags[request.match_info["dag_id"]]
        dag.paused = (await request.json())["is_paused"]
        return _json(dag.body())

    async def _trigger(self, request: web.Request) -> web.Response:
        user, dag_id = self._user(request), request.match_info["dag_id"]
        known = self.dags.get(dag_id)
        token = request.headers["Authorization"].removeprefix("Bearer ")
        if (known and known.forbidden) or claims_of(token).get("role") == "viewer":
            raise RefusedError(403, "Forbidden")
        body = rules.check_shape(await request.read(), request.content_type)
        run_id = rules.check_run(rules.check_dag(known, dag_id), body)
        date = body["logical_date"]
        taken = [run for (other, _), run in self.runs.items() if other == dag_id and run["logical_date"] is not None]
        if (dag_id, run_id) in self.runs or (date and date in [run["logical_date"] for run in taken]):
            raise RefusedError(409, rules.database_body("Unique constraint violation"))
        if _depth(body.get("conf")) > 300:
            return web.Response(status=500, text="Internal Server Error")
        made = rules.run_body(dag_id, run_id, body, user, ui="Referer" in request.headers)
        self.runs[dag_id, run_id] = made
        return _json(made)

    async def _get_run(self, request: web.Request) -> web.Response:
        self._user(request)
        return _json(self._run(request))

    async def _delete_run(self, request: web.Request) -> web.Response:
        self._user(request)
        run = self._run(request)
        if run["state"] == "running":
            raise RefusedError(409, f"DagRun {run['dag_run_id']} cannot be deleted in running state")
        del self.runs[run["dag_id"], run["dag_run_id"]]
        return web.Response(status=204)

    def _run(self, request: web.Request) -> dict[str, Any]:
        dag_id, run_id = request.match_info["dag_id"], request.match_info["run_id"]
        if (dag_id, run_id) not in self.runs:
            raise RefusedError(404, f"The DagRun with dag_id: `{dag_id}` and run_id: `{run_id}` was not found")
        return self.runs[dag_id, run_id]

    async def _list_runs(self, request: web.Request) -> web.Response:
        self._user(request)
        query, dag_id = request.query, request.match_info["dag_id"]
        if (order := query.get("order_by", "id")) not in ("id", "run_id", "state", "updated_at"):
            raise RefusedError(
                400, f"Ordering with '{order}' is disallowed or the attribute does not exist on the model"
            )
        pattern = query.get("run_id_prefix_pattern", "")
        found = [
            run
            for (dag, run_id), run in self.runs.items()
            if dag_id in ("~", dag) and (not pattern or rules.prefix_finds(pattern, run_id))
        ]
        # A limit above the largest page is lowered without a word.
        limit, start = min(int(query.get("limit", 50)), self.largest_page), int(query.get("offset", 0))
        return _json({"dag_runs": found[start : start + limit], "total_entries": len(found)})

    async def _import_errors(self, request: web.Request) -> web.Response:
        self._user(request)
        pattern = request.query.get("filename_pattern", "").lower()
        found = [
            {
                "import_error_id": number,
                "timestamp": moment(),
                "filename": file,
                "bundle_name": "dags-folder",
                "stack_trace": trace,
            }
            for number, (file, trace) in enumerate(self.import_errors.items(), 1)
            if pattern in file.lower()
        ]
        return _json({"import_errors": found, "total_entries": len(found)})


FORM = "application/x-www-form-urlencoded"


@web.middleware
async def _refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        response: web.StreamResponse = await handler(request)
    except RefusedError as refused:
        return _json(refused.body, refused.status)
    return response


async def _unknown_route(request: web.Request) -> web.Response:
    if request.method != "GET":
        return _json({"detail": "Method Not Allowed"}, 405)
    if request.path.startswith("/api/v1"):
        text = "/api/v1 has been removed in Airflow 3, please use its upgraded version /api/v2 instead."
        return _json({"error": text}, 404)
    if request.path.startswith("/api/"):
        return _json({"error": "API route not found"}, 404)
    return web.Response(text=HTML, content_type="text/html")


def _json(body: object, status: int = 200) -> web.Response:
    return web.json_response(body, status=status)


def _depth(value: object) -> int:
    depth = 0
    while isinstance(value, dict | list) and value:
        value = next(iter(value.values())) if isinstance(value, dict) else value[0]
        depth += 1
    return depth


@asynccontextmanager
async def running_fake(fake: FakeAirflow | None = None) -> AsyncIterator[FakeAirflow]:
    """The fake on a free port of 127.0.0.1, or on the port it had before: its state outlives its server."""
    fake = fake or FakeAirflow()
    runner = web.AppRunner(fake.app(), access_log=None, shutdown_timeout=0.05, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", fake.port, reuse_address=True)
    await site.start()
    fake.port = runner.addresses[0][1]
    try:
        yield fake
    finally:
        await runner.cleanup()
