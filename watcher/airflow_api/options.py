"""How Airflow is reached, checked before the first byte: no credentials over plain http, no secrets in the address."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from watcher.errors import ConfigError


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class AirflowOptions:
    """One Airflow. With `username` and `password` we log in, `token` is sent as it is, with neither we ask for any.

    Secrets are callables, asked again at each use, so a changed file is honoured. `deadline` bounds each verb as a
    whole, in seconds. `allow_insecure` permits plain http beyond loopback; TLS is verified in any case, by `ca_file`
    alone where one is given. `on_request` hears of each exchange: operation (login, trigger, get, list, health), code
    (2xx, 401, 403, 404, 409, 4xx, 5xx, none), seconds. `clock` is monotonic seconds, `now` aware UTC.
    """

    url: str
    username: str | None = None
    password: Callable[[], str] | None = None
    token: Callable[[], str] | None = None
    ca_file: Path | None = None
    deadline: float = 20.0
    allow_insecure: bool = False
    on_request: Callable[[str, str, float], None] | None = None
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = _utc_now

    @property
    def user(self) -> str:
        """How sentences name us."""
        return f'Airflow user "{self.username}"' if self.username else "Our Airflow user"


def base_url(options: AirflowOptions) -> str:
    """The address without a trailing slash. Raises ConfigError, without a secret, for one that is not safe."""
    try:
        url = urlsplit(options.url.strip())
        host, port = url.hostname, url.port
    except ValueError as error:
        raise ConfigError("airflow.url is not a URL") from error
    if url.scheme not in ("http", "https") or not host or port == 0:
        raise ConfigError("airflow.url must start with http:// or https:// and name a host")
    if "@" in url.netloc:
        raise ConfigError("airflow.url holds a user or password: give airflow.username and airflow.password instead")
    if url.query or url.fragment:
        raise ConfigError("airflow.url must not hold ? or #")
    if url.scheme == "http" and not _is_loopback(host) and not options.allow_insecure:
        raise ConfigError(
            f"airflow.url sends credentials to {host} over plain http. Use https, or set WATCHER__ALLOW_INSECURE=1"
        )
    return url.geturl().rstrip("/")


def tls(options: AirflowOptions) -> ssl.SSLContext:
    """A context that verifies names and certificates. Raises ConfigError when the CA file cannot be read."""
    try:
        return ssl.create_default_context(cafile=str(options.ca_file) if options.ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"airflow.ca_file {options.ca_file} cannot be read as certificates") from error


def check_credentials(options: AirflowOptions) -> None:
    """Raises ConfigError when it is not clear how to log in."""
    if options.token is not None and options.username is not None:
        raise ConfigError("give airflow.username or airflow.token, not both")
    if (options.username is None) != (options.password is None):
        raise ConfigError("airflow.username and airflow.password belong together")


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
