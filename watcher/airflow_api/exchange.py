"""One HTTP exchange with Airflow: a whole answer, or that there was none and whether a byte may have left."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Literal
from urllib.parse import urlencode

import aiohttp

from watcher.airflow_api.answers import Lost, Reply

Operation = Literal["login", "trigger", "get", "list", "health"]

LARGEST_ANSWER = 4 * 1024 * 1024
CONNECTIONS = 16
# Shorter than any server or balancer keeps an idle connection: a request never meets one that is just being closed.
KEEP_IDLE = 3.0


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked. `path` is already quoted; `data` is a JSON text."""

    operation: Operation
    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    data: bytes | None = None


@dataclass(slots=True)
class _Attempt:
    connected: bool = False


def open_session(tls: ssl.SSLContext) -> aiohttp.ClientSession:
    """A session without cookies, proxies or compression. The caller closes it."""
    tracing = aiohttp.TraceConfig()
    tracing.on_connection_create_end.append(_connected)
    tracing.on_connection_reuseconn.append(_connected)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=tls, limit=CONNECTIONS, keepalive_timeout=KEEP_IDLE),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        # Plain bodies only: what cannot be unpacked cannot be a bomb.
        auto_decompress=False,
        headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "watcher-for-airflow"},
        trust_env=False,
        trace_configs=[tracing],
    )


async def _connected(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    context.trace_request_ctx.connected = True


class Exchange:
    """Sends requests over one session and tells the observer about each."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base: str,
        clock: Callable[[], float],
        on_request: Callable[[str, str, float], None] | None,
    ) -> None:
        self._session = session
        self._base = base
        self._clock = clock
        self._on_request = on_request

    async def send(self, request: Request, until: float, token: str | None = None) -> Reply | Lost:
        """One exchange, over at `until` (the event loop's clock) at the latest. Cancelling it closes its connection."""
        begun = self._clock()
        outcome = await self._attempt(request, until, token)
        if self._on_request is not None:
            self._on_request(request.operation, code_of(outcome), self._clock() - begun)
        return outcome

    async def _attempt(self, request: Request, until: float, token: str | None) -> Reply | Lost:
        attempt = _Attempt()
        try:
            async with asyncio.timeout_at(until), self._start(request, token, attempt) as response:
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Reply(response.status, headers, await _read(response))
        except TimeoutError:
            return Lost(attempt.connected, "no answer in time")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Lost(attempt.connected, _why(error))

    def _start(
        self, request: Request, token: str | None, attempt: _Attempt
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        headers = {"Content-Type": "application/json"} if request.data is not None else {}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        query = f"?{urlencode(request.params)}" if request.params else ""
        return self._session.request(
            request.method,
            f"{self._base}{request.path}{query}",
            data=request.data,
            headers=headers,
            allow_redirects=False,
            trace_request_ctx=attempt,
        )


async def _read(response: aiohttp.ClientResponse) -> bytes:
    parts, size = [], 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > LARGEST_ANSWER:
            response.close()
            break
    return b"".join(parts)[:LARGEST_ANSWER]


def code_of(outcome: Reply | Lost) -> str:
    """The metric's word for an outcome: a closed list."""
    if isinstance(outcome, Lost):
        return "none"
    if outcome.status in (401, 403, 404, 409):
        return str(outcome.status)
    return {2: "2xx", 4: "4xx", 5: "5xx"}.get(outcome.status // 100, "none")


def _why(error: Exception) -> str:
    """A few words: never the text of the exception, which may quote what was sent."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "its TLS certificate cannot be verified"
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return "TLS failed"
        case aiohttp.ClientConnectorDNSError():
            return "its host name is not known"
        case aiohttp.ClientConnectorError():
            return f"no connection: {error.os_error.strerror or 'failed'}"
        case aiohttp.ClientPayloadError():
            return "the answer broke off"
        case aiohttp.ClientResponseError() | ValueError():
            return "the answer is not HTTP"
    return "the connection was lost"
