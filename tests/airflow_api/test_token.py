"""The token's life by hand-moved clock, and one login for all."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.airflow_api.conftest import Clock
from tests.airflow_api.fake_tokens import make_token
from watcher.airflow_api.answers import Finding, Seen
from watcher.airflow_api.token import TokenSource, token_of


class Logins:
    """A login that answers what is put in, one after the other, and waits while it is told to."""

    def __init__(self, *answers: str | Seen) -> None:
        self.answers = list(answers)
        self.count = 0
        self.free = asyncio.Event()
        self.free.set()
        self.begun = asyncio.Event()

    async def __call__(self, until: float) -> str | Seen:
        self.count += 1
        self.begun.set()
        await self.free.wait()
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def token(clock: Clock, life: float, name: str = "watcher") -> str:
    issued = int(clock.now().timestamp())
    return make_token("secret", name, iat=issued, nbf=issued, exp=issued + int(life))


def soon() -> float:
    return asyncio.get_running_loop().time() + 10


REFUSED = Seen(Finding.TOKEN, "login: HTTP 401: Invalid credentials")


async def test_renewed_at_eighty_percent(clock: Clock) -> None:
    """A token serves until 80 % of its life, then one login renews it."""
    first, second = token(clock, 1000, "a"), token(clock, 1000, "b")
    logins = Logins(first, second)
    source = TokenSource(logins, clock, clock.now)
    assert await source.get(soon()) == first
    assert source.expires_at == clock.now() + timedelta(seconds=1000)
    clock.seconds += 799
    assert await source.get(soon()) == first
    clock.seconds += 1
    assert await source.get(soon()) == second
    assert logins.count == 2


async def test_one_login_for_twenty_callers(clock: Clock) -> None:
    """Twenty callers at once cause one login and get its token."""
    logins = Logins(token(clock, 1000))
    logins.free.clear()
    source = TokenSource(logins, clock, clock.now)
    callers = [asyncio.create_task(source.get(soon())) for _ in range(20)]
    await logins.begun.wait()
    logins.free.set()
    assert set(await asyncio.gather(*callers)) == {logins.answers[0]}
    assert logins.count == 1


async def test_one_failed_login_for_twenty_callers(clock: Clock) -> None:
    """A wrong password is tried once for all who wait: twenty tries would lock the account."""
    logins = Logins(REFUSED)
    logins.free.clear()
    source = TokenSource(logins, clock, clock.now)
    callers = [asyncio.create_task(source.get(soon())) for _ in range(20)]
    await logins.begun.wait()
    logins.free.set()
    assert await asyncio.gather(*callers) == [REFUSED] * 20
    assert logins.count == 1


async def test_cancelled_login_is_taken_over(clock: Clock) -> None:
    """When the caller that logs in is cancelled, the next one logs in for the rest."""
    logins = Logins(token(clock, 1000))
    logins.free.clear()
    source = TokenSource(logins, clock, clock.now)
    first = asyncio.create_task(source.get(soon()))
    await logins.begun.wait()
    second = asyncio.create_task(source.get(soon()))
    first.cancel()
    await asyncio.wait([first])
    assert first.cancelled()
    logins.free.set()
    assert await second == logins.answers[0]
    assert logins.count == 2


async def test_a_refused_token_is_replaced_once(clock: Clock) -> None:
    """Callers whose token was refused share one new login; one that comes late takes the new token."""
    old, new = token(clock, 1000, "a"), token(clock, 1000, "b")
    logins = Logins(old, new)
    source = TokenSource(logins, clock, clock.now)
    await source.get(soon())
    assert await asyncio.gather(*(source.get(soon(), refused=old) for _ in range(20))) == [new] * 20
    assert await source.get(soon(), refused=old) == new
    assert logins.count == 2


async def test_failed_renewal_keeps_the_living_token(clock: Clock) -> None:
    """When a renewal fails the old token serves on, the login is tried again after 30 s, and its death is final."""
    old = token(clock, 1000)
    logins = Logins(old, REFUSED)
    source = TokenSource(logins, clock, clock.now)
    await source.get(soon())
    clock.seconds += 900
    assert [await source.get(soon()) for _ in range(3)] == [old] * 3
    assert logins.count == 2
    clock.seconds += 30
    assert await source.get(soon()) == old
    assert logins.count == 3
    clock.seconds += 70
    assert await source.get(soon()) == REFUSED


async def test_waiting_for_a_login_ends_at_the_deadline(clock: Clock) -> None:
    """Nobody waits beyond the deadline for a login that hangs; nothing was sent."""
    logins = Logins("x")
    logins.free.clear()
    source = TokenSource(logins, clock, clock.now)
    seen = await source.get(asyncio.get_running_loop().time() + 0.01)
    assert isinstance(seen, Seen)
    assert seen.finding is Finding.NOT_SENT


def test_life_is_measured_by_airflows_own_clock(clock: Clock) -> None:
    """A clock that differs by a day does not change when a token is renewed."""
    issued = clock.now().timestamp() - 86400
    read = token_of(make_token("s", "w", iat=issued, exp=issued + 100), clock(), clock.now())
    assert (read.renew_at, read.dies_at) == (clock() + 80, clock() + 100)
    alone = token_of(make_token("s", "w", iat=None, exp=clock.now().timestamp() + 50), clock(), clock.now())
    assert alone.renew_at == clock() + 40


def test_token_is_never_shown(clock: Clock) -> None:
    """The token's repr holds no token."""
    assert repr(token_of("abc", clock(), clock.now())) == "Token(***)"


@settings(deadline=None)
@given(st.text() | st.tuples(st.text(), st.text(), st.text()).map(".".join))
def test_any_text_is_a_token(text: str) -> None:
    """A token that we cannot read serves until it is refused."""
    clock = Clock()
    assert token_of(text, clock(), clock.now()).text == text
