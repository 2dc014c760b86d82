"""`notify`: a PostgreSQL channel that wakes the look."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from tests.detectors.tables import PostgresSource, SqliteSource, timestamp


async def test_notifications_are_hints(shop: PostgresSource) -> None:
    """A burst of notifications gives a hint, and so does the next one."""
    detector = timestamp(shop, notify="orders_changed")
    async with aclosing(detector.hints()) as hints:
        await hinted(shop, asyncio.ensure_future(anext(hints)))
        await hinted(shop, asyncio.ensure_future(anext(hints)))
    await detector.close()


async def test_a_lost_connection_is_made_again(shop: PostgresSource) -> None:
    """When the listening session dies a new one is opened, and one hint makes good what was said meanwhile."""
    detector = timestamp(shop, notify="orders_changed")
    async with aclosing(detector.hints()) as hints:
        await hinted(shop, asyncio.ensure_future(anext(hints)))
        again = asyncio.ensure_future(anext(hints))
        shop.run("select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'listen%'")
        await asyncio.wait_for(again, 10)
        await hinted(shop, asyncio.ensure_future(anext(hints)))
    await detector.close()


async def test_without_notify_there_is_none(shop: PostgresSource) -> None:
    """A source without `notify` ends its hints at once."""
    detector = timestamp(shop)
    assert [hint async for hint in detector.hints()] == []
    await detector.close()


async def test_other_databases_have_none(file: SqliteSource) -> None:
    """`notify` means nothing to a database without LISTEN."""
    detector = timestamp(file, notify="orders_changed")
    assert [hint async for hint in detector.hints()] == []
    await detector.close()


async def hinted(shop: PostgresSource, waiting: asyncio.Future[None]) -> None:
    """Notifies until the hint is there: what is said before the session listens is heard by nobody."""
    async with asyncio.timeout(10):
        while not waiting.done():
            shop.run("notify orders_changed")
            await asyncio.wait([waiting], timeout=0.05)
    waiting.result()
