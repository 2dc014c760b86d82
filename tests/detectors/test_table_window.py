"""The window of method timestamp: what is remembered, what is forgotten, and the edges of memory."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from tests.detectors.conformance import Keeper
from tests.detectors.tables import TIMES, PostgresSource, SqliteSource, found, put, timestamp
from watcher.detectors.table import window


class TestBounds:
    """What happens at the edges of memory."""

    async def test_entries_below_the_window_are_forgotten(self, file: SqliteSource) -> None:
        """The inventory holds the rows of the overlap and no more, however long the table grows."""
        keeper, detector = Keeper(), timestamp(file, overlap=timedelta(minutes=1))
        begin = datetime(2026, 11, 20, 12, tzinfo=UTC)
        for n in range(30):
            put(file, (n, "a", f"{begin + timedelta(seconds=20 * n):%Y-%m-%d %H:%M:%S}"))
            await found(detector, keeper)
        assert keeper.changes == 29
        assert len(keeper.entries) <= 8
        await detector.close()

    async def test_a_long_past_is_not_remembered(self, file: SqliteSource) -> None:
        """Reading a long table from the beginning keeps only its end in the inventory."""
        with closing(sqlite3.connect(file.path)) as connection, connection:
            begin = datetime(2026, 10, 20, 12, tzinfo=UTC)
            rows = ((n, "a", f"{begin + timedelta(minutes=n):%Y-%m-%d %H:%M:%S}") for n in range(5_000))
            connection.executemany("insert into orders values(?, ?, ?)", rows)
        keeper, detector = Keeper(), timestamp(file, start_from="beginning")
        most = 0
        while (await keeper.look(detector, limit=500)).more:
            most = max(most, len(keeper.entries))
        assert keeper.changes == 5_000
        assert most < 1_100
        await keeper.look(detector)
        assert len(keeper.entries) < 20
        await detector.close()

    async def test_too_many_rows_to_remember(self, file: SqliteSource, monkeypatch: pytest.MonkeyPatch) -> None:
        """Over the bound the window closes with a note; new rows are still found, and once."""
        monkeypatch.setattr(window, "REMEMBERED_MOST", 10)
        keeper, detector = Keeper(), timestamp(file)
        await found(detector, keeper)
        put(file, *((n, "a", "2026-11-22 12:00:00") for n in range(20)))
        assert await found(detector, keeper) == 20
        assert "remember" in (await keeper.look(detector)).note
        put(file, (50, "a", "2026-11-22 12:00:00"), (51, "a", "2026-11-22 12:00:01"))
        assert await found(detector, keeper) == 2
        assert await found(detector, keeper) == 0
        await detector.close()

    async def test_a_wide_window_is_asked_before_it_is_read(
        self, shop: PostgresSource, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With the fingerprint of a wide window in between, late rows and updates are found as before."""
        monkeypatch.setattr(window, "WIDE_WINDOW", 5)
        shop.run(f"create table orders({TIMES.format('timestamptz')})")
        shop.run("insert into orders(v) select generate_series(1, 20)")
        keeper, detector = Keeper(), timestamp(shop)
        for _ in range(3):
            assert await found(detector, keeper) == 0
        shop.run("insert into orders(v, updated_at) values(1, now() - interval '1 minute')")
        assert [await found(detector, keeper) for _ in range(3)] == [1, 0, 0]
        shop.run("update orders set v = 100 where id = 3")
        assert [await found(detector, keeper) for _ in range(3)] == [1, 0, 0]
        await detector.close()

    async def test_numbers_remember_the_rows_below_the_maximum(
        self, shop: PostgresSource, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """At the first look a sequence knows so many rows below its maximum: a late one among them is found."""
        monkeypatch.setattr(window, "FIRST_ROWS", 10)
        shop.run("create table orders(id int primary key)")
        shop.run("insert into orders select n from generate_series(2, 200, 2) n")
        keeper, detector = Keeper(), timestamp(shop, column="id")
        assert await found(detector, keeper) == 0
        assert len(keeper.entries) == 10 + 1
        shop.run("insert into orders values(191)")
        assert await found(detector, keeper) == 1
        await detector.close()
