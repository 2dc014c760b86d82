"""How a token is got: by password, as given, or without credentials; every failure says that nothing was sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from watcher.airflow_api.answers import Finding, Seen, classify
from watcher.airflow_api.exchange import Exchange, Request
from watcher.airflow_api.options import AirflowOptions
from watcher.errors import WatcherError

PATH = "/auth/token"


class Login:
    """One login by the options' way in. Answers the token's text, or what was seen instead."""

    def __init__(self, options: AirflowOptions, exchange: Exchange) -> None:
        self._options = options
        self._exchange = exchange

    async def __call__(self, until: float) -> str | Seen:
        if self._options.token is not None:
            return _secret(self._options.token, "token")
        if self._options.password is None:
            return await self._ask(Request("login", "GET", PATH), until)
        password = _secret(self._options.password, "password")
        if isinstance(password, Seen):
            return password
        body = {"username": self._options.username, "password": password}
        token = await self._ask(Request("login", "POST", PATH, data=json.dumps(body).encode()), until)
        if isinstance(token, Seen) and password in token.detail:
            return replace(token, detail=token.detail.replace(password, "***"))
        return token

    async def _ask(self, request: Request, until: float) -> str | Seen:
        return _token(classify(await self._exchange.send(request, until), self._options.now()))


def _secret(read: Callable[[], str], name: str) -> str | Seen:
    try:
        secret = read().strip("\r\n")
    except (OSError, ValueError, WatcherError):
        return Seen(Finding.TOKEN, f"airflow.{name} cannot be read")
    if not secret or (name == "token" and not (secret.isascii() and secret.isprintable())):
        return Seen(Finding.TOKEN, f"airflow.{name} is empty or holds characters that no header carries")
    return secret


def _token(seen: Seen) -> str | Seen:
    """A login that fails is never an unknown batch: the request that wanted the token was not sent."""
    match seen.finding:
        case Finding.OK:
            text = seen.body.get("access_token") if isinstance(seen.body, dict) else None
            if isinstance(text, str) and text.isascii() and text.isprintable() and text:
                return text
            return Seen(Finding.ADDRESS, "the login was answered without a token")
        case Finding.ADDRESS | Finding.ADDRESS_OK | Finding.UNREADABLE:
            return Seen(Finding.ADDRESS, f"login: {seen.detail}")
        case Finding.FAILED | Finding.FAILED_ONE | Finding.NO_ANSWER | Finding.NOT_SENT:
            return Seen(Finding.NOT_SENT, f"login: {seen.detail}", seen.retry_after)
        case Finding.LIMITED:
            return seen
    return Seen(Finding.TOKEN, f"login: {seen.detail}")
