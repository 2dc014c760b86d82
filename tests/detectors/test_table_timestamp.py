"""Method timestamp: what one answer says, equal values over page edges, several tables, on real databases."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.detectors.conformance import Keeper
from tests.detectors.tables import TIMES, PostgresSource, SqliteSource, found, put, timestamp


class TestEqualValues:
    """Many rows of one value."""

    @pytest.mark.parametrize("columns", [TIMES.format("timestamptz"), "v int, updated_at timestamptz default now()"])
    @pytest.mark.parametrize("limit", [1, 3, 7])
    async def test_over_page_edges_nothing_is_lost(self, shop: PostgresSource, columns: str, limit: int) -> None:
        """25 rows of one transaction, so of one time, come in pieces of `limit`: 25 changes in all."""
        shop.run(f"create table orders({columns})")
        shop.run("insert into orders(v) select n % 3 from generate_series(1, 25) n")
        keeper, detector = Keeper(), timestamp(shop, start_from="beginning")
        assert await found(detector, keeper, limit) == 25
        shop.run("insert into orders(v) select n % 3 from generate_series(1, 10) n")
        assert await found(detector, keeper, limit) == 10
        await detector.close()

    async def test_a_row_of_the_last_value_with_a_lower_key(self, file: SqliteSource) -> None:
        """A row that comes at the very value of the cursor, before its key, is found."""
        put(file, (5, 0, "2026-11-22 12:00:00"))
        keeper, detector = Keeper(), timestamp(file)
        assert await found(detector, keeper) == 0
        put(file, (1, 0, "2026-11-22 12:00:00"))
        assert await found(detector, keeper) == 1
        assert await found(detector, keeper) == 0
        await detector.close()

    async def test_a_second_update_within_the_resolution(self, file: SqliteSource) -> None:
        """A row that changes twice in the same second of its column counts twice when a look lies between."""
        put(file, (1, "a", "2026-11-22 12:00:00"))
        keeper, detector = Keeper(), timestamp(file)
        await found(detector, keeper)
        for value in ("b", "c"):
            put(file, (1, value, "2026-11-22 12:00:00"))
            assert await found(detector, keeper) == 1
        assert keeper.operations == {"update": 2}
        await detector.close()

    async def test_equal_rows_without_a_key_are_counted(self, tmp_path: Path) -> None:
        """Rows equal in every value are told apart by their number, and one more of them is one change."""
        source = SqliteSource(tmp_path / "shop.db")
        source.run("create table orders(v, updated_at)")
        insert = "insert into orders values('same', '2026-11-22 12:00:00')"
        for _ in range(3):
            source.run(insert)
        keeper, detector = Keeper(), timestamp(source, start_from="beginning")
        assert await found(detector, keeper) == 3
        source.run(insert)
        assert await found(detector, keeper) == 1
        assert await found(detector, keeper) == 0
        await detector.close()


class TestAnswers:
    """What one detection says beside its count."""

    async def test_updates_and_unknown(self, file: SqliteSource) -> None:
        """A row known from the overlap is an update; one not known may be either and is `unknown`."""
        put(file, (1, "a", "2026-11-22 12:00:00"))
        keeper, detector = Keeper(), timestamp(file)
        await found(detector, keeper)
        put(file, (1, "b", "2026-11-22 12:00:30"), (2, "c", "2026-11-22 12:00:40"))
        answer = await keeper.look(detector)
        assert answer.operations == {"update": 1, "unknown": 1}
        assert answer.bytes > 0
        assert (answer.first_change_at, answer.last_change_at) == (
            datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC),
            datetime(2026, 11, 22, 12, 0, 40, tzinfo=UTC),
        )
        await detector.close()

    async def test_operations_not_listed_are_filtered(self, file: SqliteSource) -> None:
        """With `operations: [insert]` a known update is filtered, once, and what may be an insert counts."""
        put(file, (1, "a", "2026-11-22 12:00:00"))
        keeper, detector = Keeper(), timestamp(file, operations=("insert",))
        await found(detector, keeper)
        put(file, (1, "b", "2026-11-22 12:00:30"), (2, "c", "2026-11-22 12:00:40"))
        assert await found(detector, keeper) == 1
        assert await found(detector, keeper) == 0
        assert (keeper.filtered, dict(keeper.operations)) == (1, {"unknown": 1})
        await detector.close()

    async def test_the_cursor_holds_no_key(self, file: SqliteSource) -> None:
        """The cursor goes to Airflow with the run: no key of a row stands in it, and only hashes in the inventory."""
        put(file, (987654321, "canary", "2026-11-22 12:00:00"))
        keeper, detector = Keeper(), timestamp(file, start_from="beginning")
        await found(detector, keeper)
        assert "987654321" not in str(keeper.cursor)
        assert "canary" not in str(keeper.cursor) + str(keeper.entries)
        await detector.close()

    async def test_the_range_covers_what_came(self, file: SqliteSource) -> None:
        """The range goes from the last value to the highest; with a late row it reaches back below that."""
        put(file, (1, "a", "2026-11-22 12:00:00"))
        keeper, detector = Keeper(), timestamp(file)
        await found(detector, keeper)
        put(file, (2, "b", "2026-11-22 12:01:00"))
        first = (await keeper.look(detector)).range
        assert first is not None
        assert (first.column, first.low, first.high) == ("updated_at", "2026-11-22 12:00:00", "2026-11-22 12:01:00")
        put(file, (3, "c", "2026-11-22 11:55:00"), (4, "d", "2026-11-22 12:02:00"))
        late = (await keeper.look(detector)).range
        assert late is not None
        assert (late.low, late.high) == ("2026-11-22 11:54:59", "2026-11-22 12:02:00")
        await detector.close()

    @pytest.mark.parametrize(
        ("column", "before", "late", "after", "expected"),
        [
            (
                "timestamptz",
                "2026-11-22 14:00+02",
                "2026-11-22 13:55+02",
                "2026-11-22 14:01+02",
                ("2026-11-22T11:54:59.999999Z", "2026-11-22T12:01:00.000000Z"),
            ),
            (
                "timestamp",
                "2026-11-22 12:00",
                "2026-11-22 11:55",
                "2026-11-22 12:01",
                ("2026-11-22T11:54:59.999999", "2026-11-22T12:01:00.000000"),
            ),
            ("date", "2026-11-22", "2026-11-22", "2026-11-23", ("2026-11-21", "2026-11-23")),
            ("bigint", 100, 90, 101, (89, 101)),
            ("numeric", "100.5", "90", "101.25", (89, 101.25)),
        ],
    )
    async def test_the_range_in_each_type(
        self, shop: PostgresSource, column: str, before: Any, late: Any, after: Any, expected: tuple[Any, Any]
    ) -> None:
        """Every change lies in the half-open range, which is written so that texts compare like the values."""
        shop.run(f"create table orders(id int primary key, updated_at {column})")
        shop.run("insert into orders values(1, ?)", (before,))
        keeper, detector = Keeper(), timestamp(shop)
        await found(detector, keeper)
        shop.run("insert into orders values(2, ?), (3, ?)", (late, after))
        answer = await keeper.look(detector)
        assert answer.changes == 2
        assert answer.range is not None
        assert (answer.range.low, answer.range.high) == expected
        covered = shop.run(
            f"select count(*) from orders where id > 1 and updated_at > '{expected[0]}' and updated_at <= '{expected[1]}'"
        )
        assert covered == [(2,)]
        await detector.close()

    async def test_several_tables_have_one_cursor(self, file: SqliteSource) -> None:
        """Each table has its own place; the limit is shared, and rows of equal key in two tables are two rows."""
        file.run("create table lines(id integer primary key, v, updated_at)")
        keeper, detector = Keeper(), timestamp(file, tables=("orders", "lines"), start_from="beginning")
        assert await found(detector, keeper) == 0
        for n in range(5):
            put(file, (n, "a", f"2026-11-22 12:00:0{n}"))
            file.run("insert into lines values(?, 'a', ?)", (n, f"2026-11-22 12:01:0{n}"))
        for limit, expected in ((3, 10), (3, 0)):
            assert await found(detector, keeper, limit) == expected
        answer_range = keeper.ranges[0]
        assert (answer_range.low, answer_range.high) == (None, "2026-11-22 12:01:00")
        file.run("insert into lines values(77, 'late', '2026-11-22 12:00:30')")
        assert await found(detector, keeper) == 1
        await detector.close()

    async def test_one_change_is_enough_for_two_busy_tables(self, file: SqliteSource) -> None:
        """A limit smaller than the number of tables starves none."""
        file.run("create table lines(id integer primary key, v, updated_at)")
        keeper, detector = Keeper(), timestamp(file, tables=("orders", "lines"))
        await found(detector, keeper)
        put(file, (1, "a", "2026-11-22 12:00:00"), (2, "a", "2026-11-22 12:00:01"))
        file.run("insert into lines values(1, 'a', '2026-11-22 12:00:00')")
        assert await found(detector, keeper, limit=1) == 3
        await detector.close()
