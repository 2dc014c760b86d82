"""Airflow connections become addresses of HTTP services here, with what proves who we are, and only over a safe way."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from airflow.sdk import Connection

from watcher.dags.connections import connection_of
from watcher.errors import ConfigError

ALLOW_INSECURE: Final = "WATCHER__ALLOW_INSECURE"
_OPTIONS: Final = frozenset(
    {
        *("timeout", "allow_redirects", "proxies", "verify", "cert", "check_response", "max_redirects", "stream"),
        *("trust_env", "headers", "__extra__"),
    }
)
"""Keys of the connection's extra that are no headers, as in Airflow's own HTTP hook."""


@dataclass(frozen=True, slots=True)
class HttpService:
    """One host: `base_url`, headers for each request (credentials among them), the CA file or whether TLS is verified.

    `proxies`: whether proxies and certificates that the environment names are used.
    """

    base_url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    verify: bool | str = True
    proxies: bool = False


def http_service(connection_id: str) -> HttpService:
    """The service behind an Airflow connection, read as Airflow's HTTP hook reads it.

    Raises ConfigError `unknown-connection` when Airflow does not have it, `bad-value` for one without a host or without TLS
    where that is refused.
    """
    connection = connection_of(connection_id)
    extra = connection.extra_dejson
    verify = extra.get("verify", True)
    if isinstance(verify, str) and not Path(verify).is_file():
        raise ConfigError(f'connection "{connection_id}": its CA file {verify} is not there', code="bad-value")
    if verify is False and not insecure_is_allowed():
        message = f'connection "{connection_id}" does not verify TLS; {ALLOW_INSECURE}=1 permits it'
        raise ConfigError(message, code="bad-value")
    return HttpService(_base_url(connection), _headers(connection), verify, extra.get("trust_env") is True)


def _base_url(connection: Connection) -> str:
    host = connection.host or ""
    if "://" in host:
        return host.rstrip("/")
    if not host:
        raise ConfigError(f'connection "{connection.conn_id}" has no host', code="bad-value")
    known = [word for word in (connection.schema, connection.conn_type) if word in ("http", "https")]
    port = f":{connection.port}" if connection.port else ""
    return f"{known[0] if known else 'http'}://{host}{port}"


def _headers(connection: Connection) -> dict[str, str]:
    extra = connection.extra_dejson
    named = extra.get("headers")
    headers = {key: value for key, value in extra.items() if key not in _OPTIONS and isinstance(value, str)}
    headers |= {str(key): str(value) for key, value in named.items()} if isinstance(named, dict) else {}
    if connection.login:
        pair = f"{connection.login}:{connection.password or ''}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    return headers


def insecure_is_allowed() -> bool:
    """Whether the site permits credentials without TLS."""
    return os.environ.get(ALLOW_INSECURE, "").lower() in ("1", "true")


def refuse_in_clear(url: str) -> None:
    """Raise ConfigError for credentials that would leave this machine over plain http."""
    parts = urlsplit(url)
    if parts.scheme == "https" or insecure_is_allowed() or _is_here(parts.hostname or ""):
        return
    message = f"credentials for {parts.hostname} would travel over plain http; {ALLOW_INSECURE}=1 permits it"
    raise ConfigError(message, code="bad-value")


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
