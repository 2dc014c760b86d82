"""Liveness looks at nothing outside, readiness says whether changes are being taken in, metrics are Prometheus'."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web
from prometheus_client.aiohttp import make_aiohttp_handler

from watcher.errors import CannotStartError

STALLED_AFTER = 180.0
"""Seconds without a step after which a service counts as stalled; each steps at least once a minute."""

Phase = Literal["starting", "ready", "draining"]


@dataclass(slots=True)
class Health:
    """What the daemon says of itself. `refused` holds services the store refuses, `degraded` what else is not well."""

    phase: Phase = "starting"
    last_steps: Callable[[], Mapping[str, float]] = dict
    refused: dict[str, str] = field(default_factory=dict)
    degraded: dict[str, str] = field(default_factory=dict)

    def stalled(self, monotonic: float) -> list[str]:
        """Services that have not stepped for too long. One that never stepped is still starting."""
        return sorted(name for name, at in self.last_steps().items() if at and monotonic - at > STALLED_AFTER)


@contextlib.asynccontextmanager
async def serve_ops(health: Health, address: str) -> AsyncIterator[str]:
    """Serves until left; yields the address really bound (port 0 picks one). Raises CannotStartError `port-taken`."""
    app = web.Application()
    app.router.add_get("/livez", _handler(lambda _: _live(health)))
    app.router.add_get("/readyz", _handler(lambda request: _ready(health, verbose="verbose" in request.query)))
    app.router.add_get("/metrics", make_aiohttp_handler())
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=2)
    await runner.setup()
    host, _, port = address.rpartition(":")
    try:
        try:
            await web.TCPSite(runner, host, int(port)).start()
        except OSError as error:
            raise CannotStartError(
                f"{address} cannot be used ({error.strerror}): set web.ops to a free address", code="port-taken"
            ) from error
        bound = runner.addresses[0]
        yield f"{bound[0]}:{bound[1]}"
    finally:
        await runner.cleanup()


def _handler(answer: Callable[[web.Request], web.Response]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        return answer(request)

    return handle


def _live(health: Health) -> web.Response:
    stalled = health.stalled(time.monotonic())
    if stalled:
        return web.json_response({"status": "stalled", "services": stalled}, status=503)
    return web.json_response({"status": "alive"})


def _ready(health: Health, *, verbose: bool) -> web.Response:
    body: dict[str, object] = {"status": health.phase}
    if health.phase == "ready" and health.refused:
        body["status"] = "refused"
    elif health.phase == "ready" and health.degraded:
        body["status"] = "degraded"
    if verbose:
        body |= {"refused": health.refused, "degraded": health.degraded}
    elif health.refused:
        body["reason"] = next(iter(health.refused.values()))
    taking = body["status"] in ("ready", "degraded")
    return web.json_response(body, status=200 if taking else 503)
