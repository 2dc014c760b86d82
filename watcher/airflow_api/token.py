"""The token of our requests: one login shared by all who wait for it, renewed at 80 % of its life, never shown."""

from __future__ import annotations

import asyncio
import base64
import json
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from watcher.airflow_api.answers import Finding, Seen

RENEW_AT = 0.8
RENEW_AGAIN = 30.0
"""Seconds until a renewal that failed is tried again, while the old token still lives."""


@dataclass(slots=True)
class Token:
    """A token and the monotonic moments of its life; infinite where it does not tell."""

    text: str
    renew_at: float
    dies_at: float
    expires_at: datetime | None

    def __repr__(self) -> str:
        return "Token(***)"


def token_of(text: str, clock: float, now: datetime) -> Token:
    """Reads a token's life from its own claims, unverified: they only tell when to renew."""
    claims = _claims(text)
    issued, expires = _number(claims.get("iat")), _number(claims.get("exp"))
    if expires is None:
        return Token(text, math.inf, math.inf, None)
    # Airflow's own two claims, so that the difference between its clock and ours does not matter.
    life = expires - (issued if issued is not None and issued < expires else now.timestamp())
    return Token(text, clock + RENEW_AT * max(life, 0.0), clock + max(life, 0.0), _moment(expires))


def _claims(text: str) -> dict[str, object]:
    parts = text.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e12 < value < 1e12:
        return None
    return float(value)


def _moment(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


class TokenSource:
    """Hands out the token. `login` answers a token's text or what it saw instead; one call serves all who wait."""

    def __init__(
        self, login: Callable[[float], Awaitable[str | Seen]], clock: Callable[[], float], now: Callable[[], datetime]
    ) -> None:
        self._login = login
        self._clock = clock
        self._now = now
        self._token: Token | None = None
        self._logins = 0
        self._outcome: str | Seen = Seen(Finding.TOKEN)
        self._lock = asyncio.Lock()

    @property
    def expires_at(self) -> datetime | None:
        return self._token.expires_at if self._token else None

    @property
    def current(self) -> str | None:
        return self._token.text if self._token else None

    async def get(self, until: float, refused: str | None = None) -> str | Seen:
        """A token that is not `refused`, or why there is none. `until` bounds the wait, on the event loop's clock."""
        try:
            async with asyncio.timeout_at(until):
                return await self._get(until, refused)
        except TimeoutError:
            return Seen(Finding.NOT_SENT, "no answer to the login in time")

    async def _get(self, until: float, refused: str | None) -> str | Seen:
        if (text := self._usable(refused)) is not None:
            return text
        logins = self._logins
        async with self._lock:
            if self._logins != logins:
                return self._outcome  # somebody logged in while we waited: good or bad, it is our answer too
            outcome = await self._login(until)
            self._logins += 1
            self._outcome = self._keep(outcome, refused)
            return self._outcome

    def _usable(self, refused: str | None) -> str | None:
        token = self._token
        if token is None or token.text == refused or self._clock() >= token.renew_at:
            return None
        return token.text

    def _keep(self, outcome: str | Seen, refused: str | None) -> str | Seen:
        if isinstance(outcome, str):
            self._token = token_of(outcome, self._clock(), self._now())
            return outcome
        old = self._token
        if old is not None and old.text != refused and self._clock() < old.dies_at:
            old.renew_at = self._clock() + RENEW_AGAIN
            return old.text
        return outcome
