"""Method timestamp: rows that commit after younger ones are found, and once, whatever the order."""

from __future__ import annotations

import asyncio
import random
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import asyncpg
import psycopg
import pytest

from tests.detectors.conformance import Keeper
from tests.detectors.tables import TIMES, PostgresSource, found, timestamp
from watcher.detectors.table import window

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "timestamptz": (TIMES.format("timestamptz"), {}),
    "timestamp": (TIMES.format("timestamp"), {}),
    "sequence": ("id bigserial primary key, v int", {"column": "id"}),
    "without key": ("v int, updated_at timestamptz default now()", {}),
}


class TestLateCommits:
    """A row whose value is older than the cursor may commit later."""

    @pytest.mark.parametrize("kind", KINDS)
    async def test_two_writers_out_of_order(self, shop: PostgresSource, kind: str) -> None:
        """The row that began first and committed last is found, and once."""
        columns, watch = KINDS[kind]
        shop.run(f"create table orders({columns})")
        keeper, detector = Keeper(), timestamp(shop, **watch)
        assert await found(detector, keeper) == 0
        with psycopg.connect(shop.url) as slow:
            slow.execute("insert into orders(v) values(1)")
            shop.run("insert into orders(v) values(2)")
            assert await found(detector, keeper) == 1
            slow.commit()
        assert await found(detector, keeper) == 1
        assert await found(detector, keeper) == 0
        await detector.close()

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("overlap", [timedelta(minutes=10), timedelta(0)])
    async def test_random_interleavings_find_what_was_committed(
        self, shop: PostgresSource, kind: str, overlap: timedelta, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """200 transactions that end in any order, with looks, restarts and lost answers between them: found = committed.

        Without an overlap PostgreSQL's list of open transactions alone must do.
        """
        monkeypatch.setattr(window, "WIDE_WINDOW", 30)
        columns, given = KINDS[kind]
        watch = {**given, "overlap": overlap}
        shop.run(f"create table orders({columns})")
        shop.run("insert into orders(v) select generate_series(1, 20)")
        await Interleaving(shop, watch, random.Random(f"{kind} {overlap}")).run(transactions=200)

    async def test_a_thousand_transactions_by_two_writers(self, shop: PostgresSource) -> None:
        """Of 1,000 transactions, every second of which commits after a younger one, 1,000 are found and none twice."""
        shop.run(f"create table orders({TIMES.format('timestamptz')})")
        detector, keeper, done = timestamp(shop), Keeper(), asyncio.Event()
        assert await found(detector, keeper) == 0

        async def look() -> None:
            while not done.is_set():
                await found(detector, keeper)

        looking = asyncio.create_task(look())
        await two_writers(shop.url, pairs=500)
        done.set()
        await looking
        await found(detector, keeper)
        await detector.close()
        assert shop.run("select count(*) from orders") == [(1_000,)]
        assert keeper.changes == 1_000

    async def test_a_transaction_longer_than_the_overlap(self, shop: PostgresSource) -> None:
        """PostgreSQL tells which transactions are open: a row that commits later than the overlap is found all the same."""
        shop.run(f"create table orders({TIMES.format('timestamptz')})")
        keeper, detector = Keeper(), timestamp(shop, overlap=timedelta(0))
        shop.run("insert into orders(v) values(0)")
        assert await found(detector, keeper) == 0
        with psycopg.connect(shop.url) as slow:
            slow.execute("insert into orders(v) values(1)")
            for n in range(2, 6):
                shop.run("insert into orders(v) values(?)", (n,))
                assert await found(detector, keeper) == 1
            slow.commit()
        assert await found(detector, keeper) == 1
        for _ in range(3):
            assert await found(detector, keeper) == 0
        await detector.close()


class Interleaving:
    """Writers on connections of their own, whose transactions end in any order, and looks at any moment."""

    def __init__(self, source: PostgresSource, watch: dict[str, Any], chance: random.Random) -> None:
        self.source, self.watch, self.chance = source, watch, chance
        self.keeper, self.committed = Keeper(), 0
        self.detector = timestamp(source, **watch)

    async def run(self, transactions: int) -> None:
        await found(self.detector, self.keeper)
        with ExitStack() as stack:
            idle = [stack.enter_context(psycopg.connect(self.source.url)) for _ in range(5)]
            open_: list[tuple[psycopg.Connection, int]] = []
            begun = 0
            while begun < transactions or open_:
                if idle and begun < transactions and self.chance.random() < 0.5:
                    begun += 1
                    open_.append(self.begin(idle.pop()))
                elif open_:
                    idle.append(self.end(*open_.pop(self.chance.randrange(len(open_)))))
                if self.chance.random() < 0.3:
                    await self.look()
        await found(self.detector, self.keeper)
        await self.detector.close()
        assert self.keeper.changes == self.committed

    def begin(self, connection: psycopg.Connection) -> tuple[psycopg.Connection, int]:
        rows = self.chance.randint(1, 4)
        connection.execute("insert into orders(v) select generate_series(1, %s)", (rows,))
        return connection, rows

    def end(self, connection: psycopg.Connection, rows: int) -> psycopg.Connection:
        if self.chance.random() < 0.15:
            connection.rollback()
        else:
            connection.commit()
            self.committed += rows
        return connection

    async def look(self) -> None:
        if self.chance.random() < 0.1:  # the process was killed
            await self.detector.close()
            self.detector = timestamp(self.source, **self.watch)
        if self.chance.random() < 0.2:  # the answer was never stored
            await self.detector.detect(self.keeper.cursor, self.keeper.inventory, 3)
        await self.keeper.look(self.detector, limit=self.chance.choice([1, 2, 5, 1_000]))


async def two_writers(url: str, pairs: int) -> None:
    slow, quick = await asyncpg.connect(url), await asyncpg.connect(url)
    insert = "insert into orders(v) values(1)"
    for _ in range(pairs):
        transaction = slow.transaction()
        await transaction.start()
        await slow.execute(insert)
        await quick.execute(insert)
        await transaction.commit()
    await slow.close()
    await quick.close()
