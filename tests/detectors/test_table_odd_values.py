"""Method timestamp: columns and keys as they are found in the wild."""

from __future__ import annotations

import pytest

from tests.detectors.conformance import Keeper
from tests.detectors.tables import TIMES, PostgresSource, SqliteSource, found, put, timestamp
from watcher.errors import SourceError


class TestOddValues:
    """Columns as they are found in the wild."""

    async def test_a_value_in_the_future_hides_nothing(self, shop: PostgresSource) -> None:
        """One row dated 2099 neither stops the cursor nor hides the rows of today."""
        shop.run(f"create table orders({TIMES.format('timestamptz')})")
        shop.run("insert into orders(v, updated_at) values(1, '2099-01-01')")
        keeper, detector = Keeper(), timestamp(shop)
        await found(detector, keeper)
        for _ in range(3):
            shop.run("insert into orders(v) values(2)")
            assert await found(detector, keeper) == 1
        assert await found(detector, keeper) == 0
        await detector.close()

    async def test_infinity_and_null(self, shop: PostgresSource) -> None:
        """'infinity' is a value in the future, NULL is never seen, and neither stops the looks."""
        shop.run(f"create table orders({TIMES.format('timestamptz')})")
        shop.run("insert into orders(v, updated_at) values(1, 'infinity'), (2, null), (3, '-infinity')")
        keeper, detector = Keeper(), timestamp(shop, start_from="beginning")
        assert await found(detector, keeper) == 2
        shop.run("insert into orders(v) values(4)")
        assert await found(detector, keeper) == 1
        await detector.close()

    async def test_an_empty_table_that_fills(self, file: SqliteSource) -> None:
        """Rows that come into a table that was empty at the first look are all new."""
        keeper, detector = Keeper(), timestamp(file)
        assert await found(detector, keeper) == 0
        put(file, *((n, "a", f"2026-11-22 12:00:0{n}") for n in range(4)))
        assert await found(detector, keeper, limit=3) == 4
        assert await found(detector, keeper) == 0
        await detector.close()

    async def test_texts_that_are_no_times(self, file: SqliteSource) -> None:
        """A text without a date is a cursor too, by order alone; late ones are found by what was known an overlap ago."""
        put(file, (1, "a", "v0001"), (2, "a", "v0005"))
        keeper, detector = Keeper(), timestamp(file)
        assert await found(detector, keeper) == 0
        put(file, (3, "b", "v0006"), (4, "b", "v0003"))
        assert await found(detector, keeper) == 2
        assert await found(detector, keeper) == 0
        await detector.close()

    @pytest.mark.parametrize(
        "stamps",
        [
            ["2026-11-22", "2026-11-22 12:00", "2026-11-22T11:59:59.5Z", "2026-11-22T12:00:00+00:00"],
            ["2026-11-22T12:00:00+02:00", "2026-11-22T09:00:00-05:00", "2026-11-22T12:00:00.250+02:00"],
            ["2026-11-22 12:00:00", "yesterday", "", "2026-13-99"],
        ],
    )
    async def test_texts_of_mixed_form_are_never_doubled(self, file: SqliteSource, stamps: list[str]) -> None:
        """Whatever forms stand side by side in one column, no row is counted at every look."""
        put(file, (0, "a", "2026-11-22 11:58:00"))
        keeper, detector = Keeper(), timestamp(file)
        await found(detector, keeper)
        seen = 0
        for day in range(3):
            for n, stamp in enumerate(stamps):
                put(file, (100 * day + n + 1, "b", stamp.replace("-22", f"-{22 + day}")))
                seen += await found(detector, keeper, limit=2)
                assert await found(detector, keeper) == 0
        assert seen <= 3 * len(stamps)
        await detector.close()

    @pytest.mark.parametrize(("column", "value"), [("bytea", "\\x01"), ("boolean", "true"), ("float8", "nan")])
    async def test_a_column_without_order_is_refused(self, shop: PostgresSource, column: str, value: str) -> None:
        """A column that cannot be a cursor is said so, instead of being looked at for ever."""
        shop.run(f"create table orders(id int primary key, updated_at {column})")
        shop.run("insert into orders values(1, ?)", (value,))
        detector = timestamp(shop, start_from="beginning")
        with pytest.raises(SourceError) as caught:
            await detector.detect(None, Keeper().inventory, 10)
        assert caught.value.code in {"source-schema", "source-answer"}
        await detector.close()

    @pytest.mark.parametrize("key", ["uuid", "varchar(9)", "char(9)", "timestamptz", "numeric", "inet", "mood"])
    async def test_keys_of_many_types(self, shop: PostgresSource, key: str) -> None:
        """Rows of one value are paged by any type of key, and by looking again where a key cannot be written down."""
        shop.run("drop type if exists mood")
        shop.run("create type mood as enum('zz', 'b', 'a', 'c')")
        makes = {
            "uuid": "gen_random_uuid()",
            "varchar(9)": "'k' || n",
            "char(9)": "'k' || n",
            "timestamptz": "now() + n * interval '1 second'",
            "numeric": "n / 10.0",
            "inet": "'10.0.0.1'::inet + n",
            "mood": "(enum_range(null::mood))[n]",
        }
        shop.run(f"create table orders(k {key} primary key, updated_at timestamptz)")
        shop.run(f"insert into orders select {makes[key]}, '2026-11-22' from generate_series(1, 4) n")
        keeper = Keeper()
        for _ in range(3):
            detector = timestamp(shop, start_from="beginning")
            await keeper.look(detector, limit=2)
            await detector.close()
        assert keeper.changes == 4

    async def test_a_unique_index_serves_as_key(self, shop: PostgresSource) -> None:
        """Without a primary key the unique index over columns that are never NULL tells rows apart, so updates are known."""
        shop.run("create table orders(code text not null unique, maybe text unique, v int, updated_at timestamptz)")
        shop.run("insert into orders values('a', null, 1, now())")
        keeper, detector = Keeper(), timestamp(shop)
        await found(detector, keeper)
        shop.run("update orders set v = 2, updated_at = now()")
        assert (await keeper.look(detector)).operations == {"update": 1}
        await detector.close()
