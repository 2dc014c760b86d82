"""Method polling: any difference that a table or a query shows, and rows compared by key."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.detectors.conformance import Keeper
from tests.detectors.tables import PostgresSource, Source, SqliteSource, found, polling
from watcher.detectors.table import compare
from watcher.detectors.table.polling import orders
from watcher.errors import SourceError


class TestFingerprint:
    """One change whenever the content differs."""

    async def test_every_kind_of_difference(self, shop: PostgresSource) -> None:
        """An update, a delete and a truncate each count 1, several of them between two looks count 1 together."""
        shop.run("create table orders(id int primary key, v int)")
        shop.run("insert into orders select n, n from generate_series(1, 5) n")
        keeper, detector = Keeper(), polling(shop)
        assert await found(detector, keeper) == 0
        for statement in ("update orders set v = 9 where id = 2", "delete from orders where id = 1", "truncate orders"):
            shop.run(statement)
            assert [await found(detector, keeper) for _ in range(2)] == [1, 0]
        assert keeper.operations == {"unknown": 3}
        await detector.close()

    async def test_back_to_what_it_was(self, file: SqliteSource) -> None:
        """What came and went between two looks is no change; seen once in between it is two."""
        file.run("insert into orders values(1, 'a', 0)")
        keeper, detector = Keeper(), polling(file)
        await found(detector, keeper)
        for value in ("b", "a"):
            file.run("update orders set v = ?", (value,))
        assert await found(detector, keeper) == 0
        for value in ("b", "a"):
            file.run("update orders set v = ?", (value,))
            assert await found(detector, keeper) == 1
        await detector.close()

    async def test_an_empty_table_from_the_beginning(self, file: SqliteSource) -> None:
        """An empty table has nothing to count from the beginning; one that is not counts 1."""
        for expected in (0, 1):
            keeper, detector = Keeper(), polling(file, start_from="beginning")
            assert await found(detector, keeper) == expected
            await detector.close()
            file.run("insert or replace into orders values(1, 'a', 0)")

    async def test_several_tables(self, file: SqliteSource) -> None:
        """The tables of one source count 1 together, and the note names those that differ."""
        file.run("create table lines(id)")
        keeper, detector = Keeper(), polling(file, tables=("orders", "lines"))
        await found(detector, keeper)
        file.run("insert into lines values(1)")
        answer = await keeper.look(detector)
        assert (answer.changes, answer.note) == (1, "differs: lines")
        await detector.close()

    async def test_the_order_counts_where_the_query_orders(self, file: SqliteSource) -> None:
        """Swapped places are a difference for a query that orders, and none for one that does not."""
        file.run("insert into orders values(1, 'a', 1), (2, 'b', 2)")
        ordered = polling(file, query="select v from orders order by updated_at")
        unordered = polling(file, query="select v from (select v from orders order by updated_at)")
        keepers = Keeper(), Keeper()
        for _ in range(2):
            counts = [await found(d, k) for d, k in zip((ordered, unordered), keepers, strict=True)]
            file.run("update orders set updated_at = 3 - updated_at")
        assert counts == [1, 0]
        await ordered.close()
        await unordered.close()

    async def test_a_query_that_asks_the_clock(self, file: SqliteSource) -> None:
        """A query is asked at every look, though nobody wrote to the database."""
        keeper, detector = Keeper(), polling(file, query="select random()")
        await found(detector, keeper)
        for _ in range(3):
            assert await found(detector, keeper) == 1
        await detector.close()

    @pytest.mark.parametrize(
        ("query", "answer"),
        [
            ("select a from t order by a", True),
            ("select a from t ORDER\n BY a limit 3", True),
            ("select a from (select a from t order by a) x", False),
            ("select 'order by' from t", False),
            ('select "order by" from t -- order by a', False),
            ("select a from t where b = ')' order by a", True),
            ("select a from t where b = 'it''s' -- ' \norder by a", True),
            ("select 'never closed order by", False),
        ],
    )
    def test_what_orders(self, query: str, answer: bool) -> None:
        """ORDER BY counts at the top level, outside of quotes and comments."""
        assert orders(query) is answer


class TestRows:
    """`compare: rows`."""

    @pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
    async def test_inserts_updates_and_deletes(self, shop: PostgresSource, file: SqliteSource, kind: str) -> None:
        """Each row that is new, other or gone counts once, by its key."""
        source: Source = file
        if kind == "postgresql":
            source = shop
            shop.run("create table orders(id int primary key, v text, updated_at int)")
        source.run("insert into orders values(1, 'a', 0), (2, 'b', 0), (3, 'c', 0)")
        keeper, detector = Keeper(), polling(source, compare="rows")
        assert await found(detector, keeper) == 0
        source.run("delete from orders where id = 1")
        source.run("update orders set v = 'x' where id = 2")
        source.run("insert into orders values(4, 'd', 0), (5, 'e', 0)")
        assert (await keeper.look(detector)).operations == {"insert": 2, "update": 1, "delete": 1}
        assert await found(detector, keeper) == 0
        assert len(keeper.entries) == 4
        await detector.close()

    async def test_only_deletes_are_wanted(self, file: SqliteSource) -> None:
        """`operations: [delete]` counts deletes and filters the rest, once."""
        file.run("insert into orders values(1, 'a', 0), (2, 'b', 0)")
        keeper, detector = Keeper(), polling(file, compare="rows", operations=("delete",))
        await found(detector, keeper)
        file.run("delete from orders where id = 1")
        file.run("insert into orders values(3, 'c', 0)")
        assert await found(detector, keeper) == 1
        assert await found(detector, keeper) == 0
        assert keeper.filtered == 1
        await detector.close()

    async def test_deletes_in_pieces(self, shop: PostgresSource) -> None:
        """Many deletes come in pieces of `limit`, though the table looks the same at each look."""
        shop.run("create table orders(id int primary key)")
        shop.run("insert into orders select generate_series(1, 10)")
        keeper, detector = Keeper(), polling(shop, compare="rows")
        await found(detector, keeper)
        shop.run("delete from orders")
        assert await found(detector, keeper, limit=3) == 10
        assert keeper.operations == {"delete": 10}
        await detector.close()

    async def test_a_table_without_a_key(self, file: SqliteSource) -> None:
        """Rows cannot be compared without a key, and the message says what to give."""
        file.run("create table lines(v)")
        detector = polling(file, tables=("lines",), compare="rows")
        with pytest.raises(SourceError, match="give `key`") as caught:
            await detector.detect(None, Keeper().inventory, 10)
        assert caught.value.code == "source-schema"
        await detector.close()

    async def test_a_table_too_long(self, file: SqliteSource, monkeypatch: pytest.MonkeyPatch) -> None:
        """Above a million rows the look says so instead of growing."""
        monkeypatch.setattr(compare, "MOST_ROWS", 2)
        file.run("insert into orders values(1, 'a', 0), (2, 'b', 0), (3, 'c', 0)")
        detector = polling(file, compare="rows")
        with pytest.raises(SourceError, match="more than 2 rows") as caught:
            await detector.detect(None, Keeper().inventory, 10)
        assert caught.value.code == "source-answer"
        await detector.close()

    async def test_two_tables_with_equal_keys(self, file: SqliteSource) -> None:
        """Rows of equal key in two tables are two rows."""
        file.run("create table lines(id integer primary key, v)")
        keeper, detector = Keeper(), polling(file, tables=("orders", "lines"), compare="rows")
        await found(detector, keeper)
        file.run("insert into orders values(1, 'a', 0)")
        file.run("insert into lines values(1, 'a')")
        assert await found(detector, keeper) == 2
        file.run("delete from lines")
        assert (await keeper.look(detector)).operations == {"delete": 1}
        await detector.close()

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        steps=st.lists(
            st.tuples(
                st.sampled_from(["put", "put", "delete", "look", "restart"]),
                st.integers(0, 4),
                st.integers(0, 2),
            ),
            max_size=25,
        ),
        limit=st.integers(1, 4),
    )
    def test_the_counts_lead_from_state_to_state(
        self, tmp_path: Path, steps: list[tuple[str, int, int]], limit: int
    ) -> None:
        """After any writes, looks and restarts the inventory mirrors the table: inserts less deletes are its rows."""
        asyncio.run(mirrored(tmp_path, steps, limit))


async def mirrored(folder: Path, steps: list[tuple[str, int, int]], limit: int) -> None:
    path = folder / "mirror.db"
    path.unlink(missing_ok=True)
    source = SqliteSource(path)
    source.run("create table orders(id integer primary key, v)")
    keeper = Keeper()
    detector: Any = polling(source, compare="rows", start_from="beginning")
    for step, key, value in steps:
        if step == "put":
            source.run("insert or replace into orders values(?, ?)", (key, value))
        elif step == "delete":
            source.run("delete from orders where id = ?", (key,))
        elif step == "look":
            await keeper.look(detector, limit)
        else:
            await detector.close()
            detector = polling(source, compare="rows", start_from="beginning")
    await found(detector, keeper, limit)
    await detector.close()
    rows = source.run("select count(*) from orders")[0][0]
    counts: Counter[str] = Counter(keeper.operations)
    assert counts["insert"] - counts["delete"] == rows == len(keeper.entries)
