"""The door to a source database: what it refuses has the right code, holds no secret, and never lasts."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from local.postgres import PostgresServer, running_postgres
from tests.detectors.conformance import Keeper
from tests.detectors.tables import TIMES, PostgresSource, Source, SqliteSource, found, polling, timestamp
from watcher.detection import Detector
from watcher.detectors import Context, make_detector
from watcher.detectors.table.access import Door
from watcher.errors import CODES, SourceError
from watcher.pipeline.model import DatabaseSource, TableTimestamp

COUNT_FOR_EVER = "with recursive c(x) as (select 1 union all select x + 1 from c) select count(*) from c"


class Named(Source):
    """A source that is only an address."""

    def __init__(self, url: str) -> None:
        self.url = url


async def refusal(detector: Detector) -> SourceError:
    try:
        with pytest.raises(SourceError) as caught:
            await detector.detect(None, Keeper().inventory, 10)
    finally:
        await detector.close()
    assert caught.value.code in CODES
    assert "canary" not in str(caught.value)
    return caught.value


class TestCodes:
    """Every way in which a source can refuse a look."""

    @pytest.mark.parametrize(
        ("table", "column", "words"),
        [
            ("ordres", "updated_at", 'there is no table "ordres"; did you mean "orders"?'),
            ("public.ordres", "updated_at", 'did you mean "public.orders"?'),
            ("orders", "updatet_at", 'there is no column "updatet_at" in orders; did you mean "updated_at"?'),
            ("Orders", "updated_at", 'did you mean "orders"?'),
            ('orders"; drop table orders; --', "updated_at", "there is no table"),
            ("orders", 'updated_at" or 1=1 --', "there is no column"),
            ("a.b.c.d", "updated_at", "there is no table"),
        ],
    )
    async def test_a_name_that_is_not_there(self, shop: PostgresSource, table: str, column: str, words: str) -> None:
        """A missing table or column is `source-schema` with the nearest name, and no name is ever run as SQL."""
        shop.run(f"create table orders({TIMES.format('timestamptz')})")
        error = await refusal(timestamp(shop, table=table, column=column))
        assert error.code == "source-schema"
        assert words in str(error)
        assert shop.run("select count(*) from orders") == [(0,)]

    async def test_odd_names_that_are_there(self, shop: PostgresSource) -> None:
        """Quotes, dots and spaces in names are quoted by the driver."""
        shop.run('create schema "odd one"')
        shop.run(
            'create table "odd one"."a""; drop.b"("the key" int primary key, "up;dated" timestamptz default now())'
        )
        keeper = Keeper()
        detector = timestamp(shop, table='"odd one"."a""; drop.b"', column="up;dated")
        assert await found(detector, keeper) == 0
        shop.run('insert into "odd one"."a""; drop.b" values(1)')
        assert await found(detector, keeper) == 1
        await detector.close()
        shop.run('drop schema "odd one" cascade')

    async def test_a_column_dropped_between_looks(self, shop: PostgresSource) -> None:
        """The look after a column was dropped is `source-schema`; when it is back the cursor goes on."""
        shop.run(f"create table orders({TIMES.format('timestamptz')})")
        keeper, detector = Keeper(), timestamp(shop)
        await found(detector, keeper)
        shop.run("insert into orders(v) values(1)")
        shop.run("alter table orders rename updated_at to changed_at")
        for _ in range(2):
            with pytest.raises(SourceError) as caught:
                await keeper.look(detector)
            assert caught.value.code == "source-schema"
        shop.run("alter table orders rename changed_at to updated_at")
        assert await found(detector, keeper) == 1
        await detector.close()

    async def test_a_right_that_is_missing(self, shop: PostgresSource) -> None:
        """A table that may not be read is `source-forbidden`."""
        shop.run(f"create table orders({TIMES.format('timestamptz')})")
        shop.run("do $$ begin create role reader login; exception when duplicate_object then null; end $$")
        shop.run("grant usage on schema public to reader")
        error = await refusal(timestamp(Named(shop.url.replace("postgres@", "reader:canary@"))))
        assert error.code == "source-forbidden"

    async def test_an_unknown_database_or_user(self, shop: PostgresSource) -> None:
        """What the server refuses at login is `source-refused`, and the password is never repeated."""
        for url in (
            shop.url.replace("postgres@", "nobody:canary@"),
            shop.url.replace("postgres@", "postgres:canary@") + "_x",
        ):
            assert (await refusal(timestamp(Named(url)))).code == "source-refused"

    @pytest.mark.parametrize(
        ("url", "code"),
        [
            ("postgresql://u:canary@127.0.0.1:1/shop", "source-unreachable"),
            ("postgresql://u:canary@no-such-host.invalid/shop", "source-unreachable"),
            ("sqlite:////nowhere/shop.db", "source-unreachable"),
            ("mysql://u:canary@127.0.0.1:1/shop", "not-available"),
            ("nosuchkind://u:canary@127.0.0.1/shop", "not-available"),
            ("canary", "not-available"),
        ],
    )
    async def test_an_address_where_nothing_is(self, url: str, code: str) -> None:
        """Nobody there, no such file, no driver: each has its code, and no message holds the password."""
        assert (await refusal(timestamp(Named(url)))).code == code

    async def test_a_file_that_is_no_database(self, tmp_path: Path) -> None:
        """A file of something else is `source-answer`."""
        (tmp_path / "shop.db").write_text("not a database, and long enough to be looked at" * 100)
        assert (await refusal(timestamp(Named(f"sqlite:///{tmp_path}/shop.db")))).code == "source-answer"

    async def test_a_server_that_goes_and_comes_back(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        """While the server is down looks are `source-unreachable`; the first one after its restart works."""
        with running_postgres(tmp_path_factory.mktemp("restarted"), settings={"fsync": "off"}) as server:
            write(server, f"create table orders({TIMES.format('timestamptz')})")
            keeper, detector = Keeper(), timestamp(Named(server.url()))
            await found(detector, keeper)
            write(server, "insert into orders(v) values(1)")
            server.stop()
            for _ in range(2):
                with pytest.raises(SourceError) as caught:
                    await keeper.look(detector)
                assert caught.value.code == "source-unreachable"
            server.start()
            assert await found(detector, keeper) == 1
            server.stop(immediate=True)
            server.start()
            write(server, "insert into orders(v) values(1)")
            assert await found(detector, keeper) == 1  # through a connection that died while it was idle
            await detector.close()


class TestDeadlines:
    """A look ends at its timeout, in the database too."""

    async def test_postgresql_ends_the_statement(self, shop: PostgresSource) -> None:
        """A slow query on PostgreSQL is `source-slow`, and no statement goes on."""
        error = await refusal(polling(shop, query="select pg_sleep(60)", timeout=timedelta(milliseconds=300)))
        assert error.code == "source-slow"
        assert shop.run(
            "select count(*) from pg_stat_activity where query like '%pg_sleep(60)%' and state = 'active'"
        ) == [
            (1,)  # the one that asks
        ]

    async def test_sqlite_ends_the_statement(self, file: SqliteSource) -> None:
        """A slow query on SQLite is `source-slow` at its deadline, and no thread goes on."""
        begun = time.monotonic()
        error = await refusal(polling(file, query=COUNT_FOR_EVER, timeout=timedelta(milliseconds=300)))
        assert error.code == "source-slow"
        assert time.monotonic() - begun < 10
        assert await threads_end()

    async def test_a_cancelled_look_ends_the_statement(self, file: SqliteSource) -> None:
        """Cancelling a look that waits for SQLite ends its statement at once."""
        detector = polling(file, query=COUNT_FOR_EVER)
        look = asyncio.create_task(detector.detect(None, Keeper().inventory, 10))
        await asyncio.wait([look], timeout=0.2)
        look.cancel()
        done, _ = await asyncio.wait([look], timeout=10)
        assert done
        await detector.close()
        assert await threads_end()


class TestReading:
    """A look reads, and only reads."""

    @pytest.mark.parametrize(
        "query",
        [
            "with gone as (delete from orders returning *) select * from gone",
            "select 1; delete from orders",
            "select 1) x; delete from orders; --",
            "delete from orders returning *",
            "select nextval('orders_id_seq')",
        ],
    )
    async def test_postgresql_refuses_what_writes(self, shop: PostgresSource, query: str) -> None:
        """A query that writes, or is more than one statement, is refused and changes nothing."""
        shop.run(f"create table orders({TIMES.format('timestamptz')})")
        shop.run("insert into orders(v) values(1)")
        await refusal(polling(shop, query=query))
        assert shop.run("select count(*), (select last_value from orders_id_seq) from orders") == [(1, 1)]

    @pytest.mark.parametrize(
        "query", ["delete from orders returning *", "select 1; delete from orders", "select 1) x; --"]
    )
    async def test_sqlite_refuses_what_writes(self, file: SqliteSource, query: str) -> None:
        """The same on SQLite, whose file is opened to be read."""
        file.run("insert into orders values(1, 1, 1)")
        await refusal(polling(file, query=query))
        assert file.run("select count(*) from orders") == [(1,)]


class TestSharing:
    """Detectors of one database share its connections."""

    async def test_many_detectors_hold_two_connections(self, shop: PostgresSource) -> None:
        """Ten detectors that look at once have two connections; the last one to close gives them back."""
        shop.run(f"create table orders({TIMES.format('timestamptz')})")
        detectors = [timestamp(shop) for _ in range(10)]
        await asyncio.gather(*(detector.detect(None, Keeper().inventory, 10) for detector in detectors))
        sessions = (
            "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        )
        assert shop.run(sessions)[0][0] <= 2
        for detector in detectors:
            await detector.close()
        async with asyncio.timeout(10):
            while shop.run(sessions) != [(0,)]:
                await asyncio.to_thread(shop.run, "select pg_stat_clear_snapshot()")

    def test_the_place_holds_no_credentials(self) -> None:
        """What a message says of a source is host, port and database."""
        door = Door("postgresql://user:canary@db.example:5433/shop?password=canary", timedelta(seconds=1))
        assert door.place == "db.example:5433/shop"

    def test_a_context_is_never_shown(self) -> None:
        """The text of a context does not hold its URL, nor does the one of a detector made from it."""
        context = Context("postgresql://user:canary@db/shop")
        source = DatabaseSource(source_id="shop", table="orders", watch=TableTimestamp(column="updated_at"))
        assert "canary" not in f"{context!r} {context} {make_detector(source, context)!r}"


async def threads_end() -> bool:
    """Whether no thread of a database connection is left, within a few seconds."""
    async with asyncio.timeout(10):
        while any("connection_worker" in thread.name for thread in threading.enumerate()):
            await asyncio.to_thread(time.sleep, 0.01)
    return True


def write(server: PostgresServer, statement: str) -> None:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[call-overload]
