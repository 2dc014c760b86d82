"""Addresses and credentials that are refused before the first byte."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from watcher.airflow_api.client import open_airflow
from watcher.airflow_api.options import AirflowOptions, base_url, check_credentials, tls
from watcher.errors import ConfigError


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://localhost:8080/", "http://localhost:8080"),
        ("http://127.0.0.2:8080", "http://127.0.0.2:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("https://airflow.example/team/", "https://airflow.example/team"),
    ],
)
def test_good_addresses(url: str, base: str) -> None:
    """An https address or a loopback one is taken, with its prefix."""
    assert base_url(AirflowOptions(url=url)) == base


@pytest.mark.parametrize(
    "url",
    [
        "airflow.example",
        "ftp://airflow.example",
        "http://",
        "https://ana:hunter2@airflow.example",
        "https://airflow.example/?token=hunter2",
        "https://airflow.example/#x",
        "https://airflow.example:99999999",
        "http://airflow.example",
        "http://10.0.0.1:8080",
        "http://localhost.example",
    ],
)
def test_bad_addresses(url: str) -> None:
    """A user in the address, plain http beyond loopback and nonsense are refused, and no secret is repeated."""
    with pytest.raises(ConfigError) as caught:
        base_url(AirflowOptions(url=url))
    assert caught.value.code == "bad-settings"
    assert "hunter2" not in str(caught.value)


def test_plain_http_can_be_allowed() -> None:
    """Plain http beyond loopback needs the explicit permission; TLS stays verified with it."""
    options = AirflowOptions(url="http://airflow.example", allow_insecure=True)
    assert base_url(options) == "http://airflow.example"
    context = tls(options)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_unreadable_ca_file(tmp_path: Path, content: str | None) -> None:
    """A CA file that is missing or no certificate is a fault of the settings."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match="ca_file"):
        tls(AirflowOptions(url="https://x", ca_file=file))


@pytest.mark.parametrize(
    "ways",
    [
        {"username": "a"},
        {"password": lambda: "b"},
        {"username": "a", "password": lambda: "b", "token": lambda: "c"},
    ],
)
async def test_unclear_credentials(ways: dict[str, Any]) -> None:
    """Half a login and two ways in are refused."""
    options = AirflowOptions(url="http://localhost", **ways)
    with pytest.raises(ConfigError, match=r"airflow\.username"):
        check_credentials(options)
    with pytest.raises(ConfigError):
        async with open_airflow(options):
            pass
