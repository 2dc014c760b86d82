"""A PostgreSQL channel as hints: a notification says that a look is worth doing, and nothing more."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from typing import Any

import asyncpg

from watcher.detectors.table.engines import connect_postgresql

FIRST_BACKOFF, LONGEST_BACKOFF = 1.0, 60.0
QUIET = 60.0
"""Seconds of silence after which the connection is asked whether it still lives: a half-open one never says so."""

_LOST = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)


async def notifications(url: str, channel: str) -> AsyncGenerator[None, None]:
    """Yields for notifications, several at once for one; after a lost connection too. Never ends by itself."""
    backoff, lost = FIRST_BACKOFF, False
    while True:
        try:
            connection = await connect_postgresql(url)
        except _LOST:
            await asyncio.sleep(random.uniform(backoff / 2, backoff))  # noqa: S311 - spreads reconnects, no secret
            backoff, lost = min(LONGEST_BACKOFF, backoff * 2), True
            continue
        try:
            heard = await _listen(connection, channel)
            backoff = FIRST_BACKOFF
            if lost:  # what was said meanwhile was not heard
                yield
            while await _next(connection, heard):
                yield
        except _LOST:
            pass
        finally:
            connection.terminate()
        lost = True


async def _listen(connection: asyncpg.Connection[Any], channel: str) -> asyncio.Event:
    heard = asyncio.Event()
    connection.add_termination_listener(lambda *_: heard.set())
    await connection.add_listener(channel, lambda *_: heard.set())
    return heard


async def _next(connection: asyncpg.Connection[Any], heard: asyncio.Event) -> bool:
    """Waits for the next notification; False when the connection is gone."""
    while not heard.is_set():
        try:
            async with asyncio.timeout(QUIET):
                await heard.wait()
        except TimeoutError:
            await connection.execute("SELECT 1", timeout=QUIET)
    heard.clear()
    return not connection.is_closed()
