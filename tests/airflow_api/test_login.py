"""The ways in, and what a login that fails is taken for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.airflow_api.fake_airflow import FakeAirflow
from watcher.airflow_api.answers import Finding, Seen
from watcher.airflow_api.exchange import Exchange, open_session
from watcher.airflow_api.login import Login
from watcher.airflow_api.options import AirflowOptions, tls
from watcher.errors import ConfigError


async def login(fake: FakeAirflow, **ways: Any) -> str | Seen:
    options = AirflowOptions(url=fake.url, **ways)
    async with open_session(tls(options)) as session:
        way_in = Login(options, Exchange(session, fake.url, options.clock, None))
        return await way_in(asyncio.get_running_loop().time() + 5)


def by_password(fake: FakeAirflow, password: str | None = None) -> dict[str, Any]:
    return {"username": fake.username, "password": lambda: password or fake.password}


async def test_password_gives_a_token(fake: FakeAirflow) -> None:
    """User and password become a token of three parts."""
    token = await login(fake, **by_password(fake))
    assert isinstance(token, str)
    assert token.count(".") == 2


async def test_open_airflow_gives_a_token_for_nothing(fake: FakeAirflow) -> None:
    """Without credentials the all-admins login is asked; where it is closed that is token trouble."""
    closed = await login(fake)
    fake.open_logins = True
    opened = await login(fake)
    assert isinstance(closed, Seen)
    assert closed.finding is Finding.TOKEN
    assert isinstance(opened, str)


async def test_token_file_is_read_again(fake: FakeAirflow, tmp_path: Path) -> None:
    """A given token is read at each use, without its line end, and nothing is sent for it."""
    file = tmp_path / "token"
    for text in ("first", "second"):
        file.write_text(f"{text}\n")
        assert await login(fake, token=file.read_text) == text
    assert fake.seen == []


def _refusing() -> str:
    raise ConfigError("the file is readable by all")


@pytest.mark.parametrize("token", [_refusing, lambda: "", lambda: "a\r\nX-Evil: 1", Path("/nowhere/token").read_text])
async def test_unusable_token_is_token_trouble(fake: FakeAirflow, token: Any) -> None:
    """A token that cannot be read or would break a header is token trouble, and is not quoted."""
    seen = await login(fake, token=token)
    assert isinstance(seen, Seen)
    assert seen.finding is Finding.TOKEN
    assert "Evil" not in seen.detail


async def test_unreadable_password_is_token_trouble(fake: FakeAirflow) -> None:
    """A password file that is gone is told without asking Airflow."""
    seen = await login(fake, username="w", password=Path("/nowhere/password").read_text)
    assert seen == Seen(Finding.TOKEN, "airflow.password cannot be read")
    assert fake.logins == 0


@pytest.mark.parametrize(
    ("fault", "finding"),
    [
        ({"kind": "answer", "status": 500}, Finding.NOT_SENT),
        ({"kind": "answer", "status": 503}, Finding.NOT_SENT),
        ({"kind": "drop"}, Finding.NOT_SENT),
        ({"kind": "answer", "status": 404, "body": b"<html>"}, Finding.ADDRESS),
        ({"kind": "answer", "status": 200, "body": b"<html>"}, Finding.ADDRESS),
        ({"kind": "answer", "status": 200, "body": b"{}"}, Finding.ADDRESS),
        ({"kind": "answer", "status": 201, "body": b'{"access_token": "a\\nb"}'}, Finding.ADDRESS),
        ({"kind": "answer", "status": 302, "headers": {"Location": "/login"}}, Finding.ADDRESS),
        ({"kind": "answer", "status": 429}, Finding.LIMITED),
        ({"kind": "answer", "status": 401, "body": b'{"detail": "Invalid credentials"}'}, Finding.TOKEN),
        ({"kind": "answer", "status": 422}, Finding.TOKEN),
    ],
)
async def test_failed_login_sent_nothing(fake: FakeAirflow, fault: dict[str, Any], finding: Finding) -> None:
    """A login that fails, however, is never an unknown batch."""
    with fake.fault(**fault):
        seen = await login(fake, **by_password(fake))
    assert isinstance(seen, Seen)
    assert seen.finding is finding
    assert seen.meaning.kind in ("hold", "not-sent")


async def test_password_is_never_repeated(fake: FakeAirflow) -> None:
    """A server that echoes the password does not get it into our texts."""
    with fake.fault("answer", status=401, body=b'{"detail": "hunter2 is wrong"}'):
        seen = await login(fake, **by_password(fake, "hunter2"))
    assert isinstance(seen, Seen)
    assert seen.detail == "login: HTTP 401: *** is wrong"
