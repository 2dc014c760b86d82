"""A shop whose table public.orders changes all the time; every commit is announced, as a database in use would do."""

from __future__ import annotations

import random
from pathlib import Path

import psycopg

from local.postgres import PostgresServer

DATABASE = "shop"
_SCHEMA = Path(__file__).with_name("shop.sql")
_CUSTOMERS = ("Ada", "Blaise", "Carl", "Emmy", "Grace", "Leonhard", "Maryam", "Srinivasa")


class Shop:
    """Writes orders; one instance per thread."""

    def __init__(self, url: str, chance: random.Random) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._chance = chance

    def trade(self) -> int:
        """One commit: a few orders come in, some are paid. Answers how many rows it changed."""
        count = self._chance.randint(1, 3)
        rows = [(self._chance.choice(_CUSTOMERS), round(self._chance.uniform(5, 250), 2), "new") for _ in range(count)]
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.executemany("insert into public.orders (customer, amount, status) values (%s, %s, %s)", rows)
            # rows locked by someone else are left to them
            cursor.execute(
                "update public.orders set status = 'paid' where id in (select id from public.orders"
                " where status = 'new' and updated_at < now() order by id limit %s for update skip locked)",
                (self._chance.randint(0, 2),),
            )
            return count + cursor.rowcount

    def close(self) -> None:
        """Gives the connection back."""
        self._connection.close()


def open_shop(server: PostgresServer) -> str:
    """Makes the shop's database and table where they are not there; answers the database's address."""
    url = server.url(DATABASE) if server.has_database(DATABASE) else server.create_database(DATABASE)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_SCHEMA.read_bytes())
    return url
