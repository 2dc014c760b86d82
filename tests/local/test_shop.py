"""The shop of `make run` moves its change column with every write and announces every commit."""

from __future__ import annotations

import csv
import random
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from local.landing import drop
from local.postgres import running_postgres
from local.shop import Shop, open_shop


def test_each_commit_changes_rows_and_is_announced(tmp_path: Path) -> None:
    """As many rows carry the commit's time as `trade` says, and one notification arrives per commit."""
    with running_postgres(tmp_path) as server:
        url = open_shop(server)
        assert open_shop(server) == url
        shop = Shop(url, random.Random(7))
        with psycopg.connect(url, autocommit=True) as listener:
            listener.execute("listen watcher_orders")
            for _ in range(5):
                before = datetime.now(UTC)
                changed = shop.trade()
                found = listener.execute("select count(*) from orders where updated_at >= %s", (before,)).fetchone()
                assert found == (changed,)
            assert len(list(listener.notifies(timeout=10, stop_after=5))) == 5
        shop.close()


def test_a_file_gets_its_name_when_it_is_complete(tmp_path: Path) -> None:
    """Nothing but the finished file is left, below the partner's folder, with a header and rows."""
    path = drop(tmp_path, datetime(2026, 11, 22, 14, 10, 6, tzinfo=UTC), random.Random(7))
    assert path.relative_to(tmp_path).as_posix() == "partner/2026-11-22/sales-141006.csv"
    assert [found for found in tmp_path.rglob("*") if found.is_file()] == [path]
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 5
    assert set(rows[0]) == {"sold_at", "article", "pieces", "price"}
