"""The way every request takes: breaker, token, one exchange, its meaning; and the looks that let requests go again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

from watcher.airflow_api import bodies
from watcher.airflow_api.answers import Finding, Reply, Seen, classify
from watcher.airflow_api.breaker import Breaker
from watcher.airflow_api.exchange import Exchange, Request
from watcher.airflow_api.login import Login
from watcher.airflow_api.options import AirflowOptions
from watcher.airflow_api.token import TokenSource
from watcher.errors import AirflowError

HEALTH = Request("health", "GET", "/api/v2/monitor/health")
# Shorter than the breaker's pause, so that two looks never run at once.
LOOK_DEADLINE = 10.0
VERSION = Request("health", "GET", "/api/v2/version")


@dataclass(frozen=True, slots=True)
class Health:
    """Airflow's own word: status texts of its parts (None where silent), `latency` and `clock_ahead` in seconds."""

    version: str | None
    metadatabase: str | None
    scheduler: str | None
    latency: float
    clock_ahead: float | None = None


class Door:
    """The one door. `ask` answers what was seen and never raises for Airflow or the network."""

    def __init__(self, options: AirflowOptions, exchange: Exchange) -> None:
        self.options = options
        self.breaker = Breaker(clock=options.clock, now=options.now)
        self.tokens = TokenSource(Login(options, exchange), options.clock, options.now)
        self._exchange = exchange

    def deadline(self) -> float:
        """The end of a verb that begins now, on the event loop's clock."""
        return asyncio.get_running_loop().time() + self.options.deadline

    async def ask(self, request: Request, until: float) -> Seen:
        """One request with the token; a refused token is renewed once and the request sent once more."""
        if self.breaker.claim_look():
            await self._look(until)
        leave = self.breaker.admit()
        if leave is None:
            return Seen(Finding.NOT_SENT, self.breaker.detail, code=self.breaker.reason or "airflow-unreachable")
        with leave:
            seen = await self._ask(request, until)
            meaning = seen.meaning
            code = meaning.code if meaning.effect == "open" and meaning.code else "airflow-unreachable"
            leave.report(meaning.effect, code, seen.detail)
        return seen

    async def _ask(self, request: Request, until: float) -> Seen:
        token = await self.tokens.get(until)
        if isinstance(token, Seen):
            return token
        seen = await self._once(request, until, token)
        if seen.finding is not Finding.TOKEN:
            return seen
        fresh = await self.tokens.get(until, refused=token)
        if isinstance(fresh, Seen):
            return fresh
        return seen if fresh == token else await self._once(request, until, fresh)

    async def _once(self, request: Request, until: float, token: str) -> Seen:
        seen = classify(await self._exchange.send(request, until, token), self.options.now())
        if token not in seen.detail:
            return seen
        return Seen(seen.finding, seen.detail.replace(token, "***"), seen.retry_after, seen.body)

    async def probe(self) -> None:
        """One look at the health body and, while the token is refused, one login; after a good one a request decides.

        While the breaker is open there is one look per pause, whoever asks. Raises AirflowError, its code says why.
        """
        breaker = self.breaker
        if breaker.state == "open" and not breaker.claim_look():
            raise AirflowError(breaker.detail or "the last look was bad", code=breaker.reason)
        trouble = await self._look(self.deadline())
        if trouble is not None:
            raise AirflowError(trouble.detail, code=_code(trouble))

    async def _look(self, until: float) -> Seen | None:
        trouble = await self._trouble(min(until, asyncio.get_running_loop().time() + LOOK_DEADLINE))
        if trouble is None:
            self.breaker.half_open()
        else:
            self.breaker.stay_open(_code(trouble), trouble.detail)
        return trouble

    async def _trouble(self, until: float) -> Seen | None:
        facts, _ = await self._health(until)
        if isinstance(facts, Seen):
            return facts
        if facts.metadatabase != "healthy":
            return Seen(Finding.NOT_SENT, "Airflow's metadata database is not healthy")
        if self.breaker.reason != "airflow-token":
            return None
        token = await self.tokens.get(until, refused=self.tokens.current)
        return token if isinstance(token, Seen) else None

    async def health(self) -> Health:
        """One look at health and version, whatever the breaker says. Raises AirflowError without a usable answer."""
        until, begun = self.deadline(), self.options.clock()
        facts, date = await self._health(until)
        latency = self.options.clock() - begun
        if isinstance(facts, Seen):
            raise AirflowError(facts.detail, code=_code(facts))
        version = classify(await self._exchange.send(VERSION, until), self.options.now()).body
        text = version.get("version") if isinstance(version, dict) else None
        ahead = (date - self.options.now()).total_seconds() if date else None
        return Health(text if isinstance(text, str) else None, facts.metadatabase, facts.scheduler, latency, ahead)

    async def _health(self, until: float) -> tuple[bodies.HealthFacts | Seen, datetime | None]:
        outcome = await self._exchange.send(HEALTH, until)
        seen = classify(outcome, self.options.now())
        date = _date(outcome.headers.get("date")) if isinstance(outcome, Reply) else None
        if seen.finding is Finding.OK:
            facts = bodies.read_health(seen.body)
            return facts or Seen(Finding.ADDRESS, "its health is not that of an Airflow 3"), date
        if seen.finding in (Finding.ADDRESS, Finding.ADDRESS_OK, Finding.LIMITED):
            return seen, date
        # Health needs no token and knows no DAG: any other answer means that nobody useful is there.
        return Seen(Finding.NOT_SENT, f"health: {seen.detail}", seen.retry_after), date


def _code(seen: Seen) -> str:
    return seen.code or seen.meaning.code or "airflow-unreachable"


def _date(text: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
