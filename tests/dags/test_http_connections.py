"""An HTTP connection is read as Airflow's own hook reads it, and is only used where it is safe."""

from __future__ import annotations

import json
from typing import Any

import pytest

from watcher.dags.http_connections import HttpService, http_service, refuse_in_clear
from watcher.errors import ConfigError


def of(monkeypatch: pytest.MonkeyPatch, connection: str | dict[str, Any]) -> HttpService:
    text = connection if isinstance(connection, str) else json.dumps({"conn_type": "http", **connection})
    monkeypatch.setenv("AIRFLOW_CONN_WEB", text)
    return http_service("web")


@pytest.mark.parametrize(
    ("connection", "base_url"),
    [
        ("http://api.example", "http://api.example"),
        ("http://api.example:8080/https", "https://api.example:8080"),
        ("https://api.example", "https://api.example"),
        ({"host": "https://api.example/v2/"}, "https://api.example/v2"),
        ({"host": "api.example", "schema": "https", "port": 8443}, "https://api.example:8443"),
    ],
)
def test_where_it_is(monkeypatch: pytest.MonkeyPatch, connection: str | dict[str, Any], base_url: str) -> None:
    """Host, port and scheme in each of the ways that connections are written."""
    assert of(monkeypatch, connection).base_url == base_url


def test_what_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts of the extra are headers, its options are not; a login is sent as such; nothing of it shows."""
    extra = {
        "X-Key": "c4n4ry",
        "timeout": 3,
        "trust_env": True,
        "headers": {"Accept": "text/csv"},
        "check_response": "x",
    }
    found = of(monkeypatch, {"host": "https://api.example", "login": "me", "password": "pw", "extra": extra})

    assert found.headers == {"X-Key": "c4n4ry", "Accept": "text/csv", "Authorization": "Basic bWU6cHc="}
    assert (found.proxies, found.verify) == (True, True)
    assert "c4n4ry" not in repr(found)


@pytest.mark.parametrize(
    ("connection", "told"),
    [
        ({}, "has no host"),
        ({"host": "https://x.example", "extra": {"verify": False}}, "does not verify TLS; WATCHER__ALLOW_INSECURE=1"),
        ({"host": "https://x.example", "extra": {"verify": "/nowhere/ca.pem"}}, "its CA file /nowhere/ca.pem"),
    ],
)
def test_what_is_refused(monkeypatch: pytest.MonkeyPatch, connection: dict[str, Any], told: str) -> None:
    """No host, no verified TLS, a CA file that is not there: each is told by the connection's name."""
    with pytest.raises(ConfigError, match=f'"web".*{told}'):
        of(monkeypatch, connection)


def test_a_missing_connection() -> None:
    """An id that nobody defines is told as such."""
    with pytest.raises(ConfigError, match='no connection "nowhere"') as caught:
        http_service("nowhere")
    assert caught.value.code == "unknown-connection"


def test_in_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials go over TLS, or stay on this machine, or the site has permitted it."""
    for safe in ("https://api.example", "http://localhost:8080", "http://127.0.0.1", "http://[::1]:80"):
        refuse_in_clear(safe)
    for unsafe in ("http://api.example", "http://10.0.0.1", "http://localhost.example"):
        with pytest.raises(ConfigError, match="over plain http"):
            refuse_in_clear(unsafe)
    monkeypatch.setenv("WATCHER__ALLOW_INSECURE", "1")
    refuse_in_clear("http://api.example")
    assert of(monkeypatch, {"host": "https://x.example", "extra": {"verify": False}}).verify is False
