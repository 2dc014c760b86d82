"""Reads an HTTP API into rows with dlt's REST client: one host, page after page, each answer judged before it is used."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote, quote_plus, urlsplit

from airflow.sdk.log import mask_secret

from watcher.dags.http_connections import HttpService, http_service, refuse_in_clear
from watcher.dags.operators.tables import Reading, since_last_load
from watcher.errors import ConfigError, SourceError
from watcher.pipeline.pagination import Pagination
from watcher.pipeline.secrets import reveal, secrets_in
from watcher.pipeline.sources import ApiSource

LARGEST: Final = 64 * 1024 * 1024
"""Bytes of the largest answer, unpacked."""
LONGEST: Final = 300.0
"""Seconds that one answer may take, however it drips."""

_TIMEOUTS: Final = (10.0, 60.0)  # seconds to connect, and between two packets
_ATTEMPTS: Final = 3  # of a request that meets 429, 5xx or a broken line; after that the task's own retries
_CODES: Final[Mapping[int, str]] = {
    401: "source-refused",
    403: "source-forbidden",
    404: "source-schema",
    410: "source-schema",
    429: "source-unreachable",
}

Rows = Iterator[list[Any]]


def service_of(source: ApiSource) -> tuple[HttpService, str]:
    """The host of a source and the path there. The connection's credentials go to the connection's own host only.

    Raises ConfigError for a path without a connection, and for a whole URL that leads elsewhere than the connection.
    """
    endpoint = source.endpoint or ""
    if urlsplit(endpoint).scheme not in ("http", "https"):
        if source.connection is None:
            raise ConfigError(
                f"{source.source_id}: endpoint is a path, so the source needs a connection", code="missing-key"
            )
        return http_service(source.connection), endpoint
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(endpoint))
    if source.connection is None:
        return HttpService(origin), endpoint
    service = http_service(source.connection)
    if _origin(service.base_url) != _origin(endpoint):
        message = f"{source.source_id}: endpoint is not on the host of connection {source.connection}"
        raise ConfigError(message, code="bad-value")
    return service, endpoint


def api_resource(source: ApiSource, reading: Reading, select: str | None) -> Any:
    """A dlt resource of all rows of the API. `select` says where they are in an answer; None lets dlt find them.

    Secrets are revealed here, when the request is made, and hidden from every log of the task.
    """
    import dlt

    service, path = service_of(source)
    for secret in secrets_in([source.headers, source.params]):
        for shown in {quote(secret.reveal()), quote_plus(secret.reveal()), secret.reveal()} - {""}:
            mask_secret(shown)
    headers = {**service.headers, **{key: str(value) for key, value in reveal(source.headers).items()}}
    if service.headers or any(secrets_in([source.headers, source.params])):
        refuse_in_clear(service.base_url)
    client = _client(replace(service, headers=headers), source.pagination)
    params = {key: _param(value) for key, value in reveal(source.params).items()}
    wanted = frozenset(reading.with_needed(reading.key))

    def rows() -> Rows:
        for page in _pages(client, path, params, select):
            yield [_chosen(row, wanted) for row in page]

    hints: dict[str, Any] = {
        "write_disposition": reading.disposition_for(reading.key),
        "primary_key": list(reading.key) or None,
        "incremental": None if reading.everything else since_last_load(reading),
    }
    return dlt.resource(rows, name=reading.table or source.source_id, **hints)


def _param(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, separators=(",", ":")) if isinstance(value, dict) else value


def _chosen(row: Any, wanted: frozenset[str]) -> Any:
    return {name: row[name] for name in row if name in wanted} if wanted and isinstance(row, dict) else row


def _pages(client: Any, path: str, params: dict[str, Any], select: str | None) -> Rows:
    try:
        yield from client.paginate(path, params=params, data_selector=select)
    except (ValueError, RecursionError):
        message = f"{client.base_url}: an answer is no JSON, or none that its pagination fits"
        raise SourceError(message, code="source-answer") from None  # the parser's words quote the answer
    finally:
        client.session.close()


def _client(service: HttpService, pagination: Pagination | None) -> Any:
    from dlt.sources.helpers.requests import Client
    from dlt.sources.helpers.rest_client.client import RESTClient
    from dlt.sources.rest_api.config_setup import create_paginator

    config: Any = None
    if pagination is not None:
        counted = pagination.type in ("offset", "page_number")
        # dlt insists on a field `total` in the answer unless it is told of another
        config = {"type": pagination.type, **({"total_path": None} if counted else {}), **pagination.written}
    session: Any = Client(raise_for_status=False, request_timeout=_TIMEOUTS, request_max_attempts=_ATTEMPTS).session
    session.verify, session.trust_env = service.verify, service.proxies
    session.send = _Door(session.send, service.base_url)
    return RESTClient(service.base_url, dict(service.headers), None, create_paginator(config), session=session)


class _Door:
    """Sends the requests of one load: to one host, without redirects, each page once, what comes back bounded.

    Its errors name the host and never a URL, whose query may hold a secret.
    """

    def __init__(self, send: Callable[..., Any], base_url: str) -> None:
        self._send = send
        self._origin = _origin(base_url)
        self._answered: set[str] = set()

    def __call__(self, request: Any, **options: Any) -> Any:
        """The answer, read as a whole. Raises SourceError for all that is no usable one."""
        if _origin(request.url) != self._origin:
            raise SourceError(f"{self._host}: the next page is on another host, which is refused", code="source-answer")
        if request.url in self._answered:
            raise SourceError(f"{self._host}: the next page is one that was read before", code="source-answer")
        self._answered.add(request.url)
        request.hooks = {"response": []}  # dlt's own check of the status would quote the whole URL
        response = self._answer(request, options | {"allow_redirects": False, "stream": True})
        if response.is_redirect or response.is_permanent_redirect:
            raise SourceError(f"{self._host} redirects: put the right address in the connection", code="source-answer")
        if response.status_code >= 400:
            status = response.status_code
            code = _CODES.get(status, "source-unreachable" if status >= 500 else "source-answer")
            raise SourceError(f"{self._host} answers {status} {response.reason}", code=code)
        return response

    @property
    def _host(self) -> str:
        return self._origin[1]

    def _answer(self, request: Any, options: Mapping[str, Any]) -> Any:
        from dlt.sources.helpers.requests import RequestException

        try:
            response = self._send(request, **options)
            with response:
                # requests itself reads an answer without any bound
                response._content = self._read(response) or (b"[]" if response.status_code == 204 else b"")
        except RequestException as error:
            message = f"{self._host} does not answer: {type(error).__name__}"
            raise SourceError(message, code="source-unreachable") from None  # its words hold the whole URL
        return response

    def _read(self, response: Any) -> bytes:
        body, ends = bytearray(), time.monotonic() + LONGEST
        for chunk in response.iter_content(64 * 1024):
            body += chunk
            if len(body) > LARGEST:
                raise SourceError(f"{self._host}: an answer is larger than {LARGEST >> 20} MiB", code="source-answer")
            if time.monotonic() > ends:
                raise SourceError(f"{self._host}: an answer takes longer than {LONGEST:.0f} s", code="source-slow")
        return bytes(body)


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, f"{(parts.hostname or '').lower()}:{port}"
