"""One source, one task: the batch's rows exactly, or what is new since the last load."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from running_tasks import Task, conf_of

from watcher.dags.operators.ingestion import headline
from watcher.detection import FileChange, Range
from watcher.errors import ConfigError, SourceError
from watcher.pipeline.model import (
    CustomSource,
    CustomWatch,
    DatabaseSource,
    FilesystemSource,
    FilesystemWatch,
    Ingest,
    TableTimestamp,
)
from watcher.pipeline.run import SourceFacts, read_batch

Ask = Callable[[str], list[Any]]
Shop = sqlite3.Connection


def orders(**ingest: Any) -> DatabaseSource:
    return DatabaseSource(
        source_id="orders_db",
        connection="shop_db",
        table="orders",
        watch=TableTimestamp(column="updated_at"),
        ingest=Ingest(**ingest) if ingest else None,
    )


def add(shop: Shop, *rows: tuple[int, str]) -> None:
    shop.executemany(
        "insert into orders values (?, 'x', ?) on conflict (id) do update set updated_at = excluded.updated_at", rows
    )


def window(low: str | None, high: str, changes: int = 2) -> dict[str, Any]:
    return conf_of(SourceFacts("orders_db", changes, 0, {"insert": changes}, range=Range("updated_at", low, high)))


def loaded(warehouse: Ask, table: str = "orders.orders") -> list[int]:
    return [row[0] for row in warehouse(f"select id from {table} order by id")]


def test_exactly_the_window(shop: Shop, warehouse: Ask) -> None:
    """A batch loads the rows after `from` up to and with `to`, and no other."""
    add(shop, (1, "2026-11-22T14:00"), (2, "2026-11-22T14:01"), (3, "2026-11-22T14:02"), (4, "2026-11-22T14:03"))

    assert Task(orders()).run(window("2026-11-22T14:00", "2026-11-22T14:02")) == {"orders": 2}
    assert loaded(warehouse) == [2, 3]


def test_from_the_beginning(shop: Shop, warehouse: Ask) -> None:
    """A window without `from` reaches back to the first row, and still ends at `to`."""
    add(shop, (1, "2026-11-22T14:00"), (2, "2026-11-22T14:01"), (3, "2026-11-22T14:02"))

    Task(orders()).run(window(None, "2026-11-22T14:01"))

    assert loaded(warehouse) == [1, 2]


def test_repeated_window(shop: Shop, warehouse: Ask) -> None:
    """Running a batch again loads the same rows again and leaves each of them once."""
    add(shop, (1, "2026-11-22T14:01"), (2, "2026-11-22T14:02"))
    task, conf = Task(orders()), window("2026-11-22T14:00", "2026-11-22T14:02")

    first = task.run(conf)
    add(shop, (3, "2026-11-22T14:05"))

    assert task.run(conf) == first == {"orders": 2}
    assert loaded(warehouse) == [1, 2]


def test_late_row(shop: Shop, warehouse: Ask) -> None:
    """A row that was committed late, before the last batch's `to`, is loaded by the next batch that reaches back to it."""
    add(shop, (1, "2026-11-22T14:01"), (3, "2026-11-22T14:03"))
    Task(orders()).run(window("2026-11-22T14:00", "2026-11-22T14:03"))

    add(shop, (2, "2026-11-22T14:02"), (4, "2026-11-22T14:04"))
    Task(orders()).run(window("2026-11-22T14:01", "2026-11-22T14:04", 2))

    assert loaded(warehouse) == [1, 2, 3, 4]


def test_updated_row_is_replaced(shop: Shop, warehouse: Ask) -> None:
    """With a primary key, found in the catalogue, an updated row takes the place of the old one."""
    add(shop, (1, "2026-11-22T14:01"))
    Task(orders()).run(window("2026-11-22T14:00", "2026-11-22T14:01", 1))
    shop.execute("update orders set item = 'y', updated_at = '2026-11-22T14:02'")

    Task(orders()).run(window("2026-11-22T14:01", "2026-11-22T14:02", 1))

    assert warehouse("select id, item from orders.orders") == [(1, "y")]


def test_by_hand_is_incremental(shop: Shop, warehouse: Ask) -> None:
    """Without a batch each run loads what is new since the last such run, whatever folder or process it runs in."""
    task = Task(orders())
    add(shop, (1, "2026-11-22T14:01"), (2, "2026-11-22T14:02"))
    assert task.run() == {"orders": 2}
    add(shop, (3, "2026-11-22T14:03"))

    assert task.run() == {"orders": 1}
    assert task.run() == {}
    assert loaded(warehouse) == [1, 2, 3]


def test_batch_leaves_own_state(shop: Shop, warehouse: Ask) -> None:
    """A batch does not move what a run by hand goes on from, so a row that no batch held is still found."""
    add(shop, (1, "2026-11-22T14:01"), (2, "2026-11-22T14:02"), (3, "2026-11-22T14:03"))
    Task(orders()).run(window("2026-11-22T14:02", "2026-11-22T14:03", 1))

    assert Task(orders()).run() == {"orders": 3}
    assert loaded(warehouse) == [1, 2, 3]


def test_replace_reads_everything(shop: Shop, warehouse: Ask) -> None:
    """`write_disposition: replace` reads the whole table even for a batch: a window alone would drop all other rows."""
    add(shop, (1, "2026-11-22T14:01"), (2, "2026-11-22T14:02"))
    task = Task(orders(write_disposition="replace"))

    task.run(window("2026-11-22T14:01", "2026-11-22T14:02", 1))
    assert loaded(warehouse) == [1, 2]
    shop.execute("delete from orders")
    task.run(window("2026-11-22T14:01", "2026-11-22T14:02", 1))

    assert loaded(warehouse) == []


def test_without_a_column_everything_is_replaced(shop: Shop, warehouse: Ask) -> None:
    """A table of which nothing tells old from new is loaded whole, deleted rows gone."""
    source = DatabaseSource(source_id="orders_db", connection="shop_db", table="orders")
    add(shop, (1, "2026-11-22T14:01"), (2, "2026-11-22T14:02"))
    Task(source).run()
    shop.execute("delete from orders where id = 1")

    assert Task(source).run() == {"orders": 1}
    assert loaded(warehouse) == [2]


def test_query_in_a_window(shop: Shop, warehouse: Ask) -> None:
    """A query is restricted to the window too; its colons and percent signs stay what they are."""
    query = "select id, updated_at, '12:30' as clock from orders where item like '%x%';"
    source = DatabaseSource(
        source_id="orders_db", connection="shop_db", query=query, watch=TableTimestamp(column="updated_at")
    )
    add(shop, (1, "2026-11-22T14:01"), (2, "2026-11-22T14:02"), (3, "2026-11-22T14:03"))

    assert Task(source).run(window("2026-11-22T14:01", "2026-11-22T14:02", 1)) == {"orders_db": 1}
    assert warehouse("select id, clock from orders.orders_db") == [(2, "12:30")]


def test_new_column(shop: Shop, warehouse: Ask) -> None:
    """A column that appears in the source appears at the destination."""
    add(shop, (1, "2026-11-22T14:01"))
    Task(orders()).run()
    shop.execute("alter table orders add column note text")
    shop.execute("insert into orders values (2, 'x', '2026-11-22T14:02', 'new')")

    Task(orders()).run()

    assert warehouse("select id, note from orders.orders order by id") == [(1, None), (2, "new")]


def test_chosen_columns(shop: Shop, warehouse: Ask) -> None:
    """`columns` loads those and the ones that the load needs: key and time."""
    add(shop, (1, "2026-11-22T14:01"))

    Task(orders(columns=("id",), table="slim")).run()

    names = [row[0] for row in warehouse("describe orders.slim")]
    assert [name for name in names if not name.startswith("_dlt")] == ["id", "updated_at"]


def test_only_another_source_changed(shop: Shop, tmp_path: Path) -> None:
    """A watched source that is not in the batch has no changes, so nothing of it is read."""
    add(shop, (1, "2026-11-22T14:01"))

    assert Task(orders()).run(conf_of(SourceFacts("crm_db", 5, 0, {"insert": 5}))) == {}


def test_foreign_column_is_refused(shop: Shop) -> None:
    """A window of a column that the file does not watch is refused: a conf may come from anybody who can start a run."""
    conf = conf_of(SourceFacts("orders_db", 1, 0, {"insert": 1}, range=Range("id; drop table orders", 0, 1)))

    with pytest.raises(SourceError, match='watches "updated_at" by now'):
        Task(orders()).run(conf)


def test_missing_table(shop: Shop, warehouse: Ask) -> None:
    """A table that is not there is named, and the destination stays as it was."""
    source = DatabaseSource(source_id="orders_db", connection="shop_db", table="ordres")

    with pytest.raises(SourceError, match="no table ordres") as caught:
        Task(source).run()
    assert caught.value.code == "source-schema"


def test_missing_connection() -> None:
    """A connection that Airflow does not have is named."""
    source = DatabaseSource(source_id="orders_db", connection="nowhere", table="orders")

    with pytest.raises(ConfigError, match='no connection "nowhere"'):
        Task(source).run()


def test_announces_the_batch(shop: Shop, warehouse: Ask) -> None:
    """The first task shows the batch's sources in XCom; its result is counts alone."""
    add(shop, (1, "2026-11-22T14:01"))
    conf = window("2026-11-22T14:00", "2026-11-22T14:01", 1)
    task = Task(orders(), announces=True)

    assert task.run(conf) == {"orders": 1}
    assert task.pushed == {"detected_changes": conf["watcher"]["sources"]}


def test_later_tasks_announce_nothing(shop: Shop, warehouse: Ask) -> None:
    """A task that waits for another pushes nothing beside its result."""
    task = Task(orders())
    task.run(window(None, "2026-11-22T14:01", 1))

    assert task.pushed == {}


def test_headline() -> None:
    """The one line of the log names batch, changes, source and window, or that there is no batch."""
    source = orders()
    batch = read_batch(window("2026-11-22T14:00", "2026-11-22T14:01", 1042))
    assert batch is not None

    told = headline(source, batch, batch.sources["orders_db"])

    assert told == "batch b000017: 1,042 changes, orders_db (2026-11-22T14:00 to 2026-11-22T14:01]"
    assert headline(source, None, None) == "no batch: orders_db, what is new since its last load"
    assert headline(source, batch, None) == "batch b000017: 0 changes, orders_db"


def test_custom_source_only_announces() -> None:
    """A source of the user's own class has nothing to load: its task hands the changes on."""
    source = CustomSource(source_id="scoring", detector="acme.registry:Models", watch=CustomWatch())
    task = Task(source, announces=True)

    assert task.run(conf_of(SourceFacts("scoring", 1, 0, {"insert": 1}))) == {}
    assert task.pushed["detected_changes"]["scoring"]["changes"] == 1


def landing(folder: Path, **ingest: Any) -> FilesystemSource:
    return FilesystemSource(
        source_id="landing", path=str(folder), watch=FilesystemWatch(), ingest=Ingest(**ingest) if ingest else None
    )


def batch_of(*files: Path, deleted: tuple[Path, ...] = ()) -> dict[str, Any]:
    changes = [FileChange(str(file).replace("[", "%5B"), "insert", 1) for file in files]
    changes += [FileChange(str(file), "delete", 0) for file in deleted]
    counts = {"insert": len(files), "delete": len(deleted)}
    return conf_of(SourceFacts("landing", len(changes), 0, counts, files=tuple(changes)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "landing"
    (folder / "day").mkdir(parents=True)
    (folder / "one[1].csv").write_text("id,zip\n1,01234\n2,00002\n")
    (folder / "day" / "two.jsonl").write_text('{"id": 3, "zip": "a"}\n\n{"id": 4}\n')
    (folder / "three.json").write_text('[{"id": 5}]')
    return folder


def test_exactly_the_listed_files(folder: Path, warehouse: Ask) -> None:
    """A batch loads the files it lists and no other, every row saying which file it came from."""
    conf = batch_of(folder / "one[1].csv", folder / "day" / "two.jsonl")

    assert Task(landing(folder)).run(conf) == {"landing": 4}
    assert warehouse("select id, zip, _watcher_file from orders.landing order by id") == [
        (1, "01234", "one[1].csv"),
        (2, "00002", "one[1].csv"),
        (3, "a", "day/two.jsonl"),
        (4, None, "day/two.jsonl"),
    ]


def test_repeated_files(folder: Path, warehouse: Ask) -> None:
    """A file that is read again, changed or not, replaces its own rows."""
    conf = batch_of(folder / "one[1].csv", folder / "three.json")
    task = Task(landing(folder))
    task.run(conf)
    (folder / "three.json").write_text('[{"id": 6}, {"id": 7}]')

    task.run(conf)

    assert loaded(warehouse, "orders.landing") == [1, 2, 6, 7]


def test_files_by_hand(folder: Path, warehouse: Ask) -> None:
    """Without a batch each run loads the files that are new or changed since the last such run."""
    task = Task(landing(folder))
    assert task.run() == {"landing": 5}
    (folder / "four.ndjson").write_text('{"id": 8}\n')
    (folder / "ignored.tmp").write_text("half a file")

    assert task.run() == {"landing": 1}
    assert task.run() == {}
    assert loaded(warehouse, "orders.landing") == [1, 2, 3, 4, 5, 8]


def test_missing_file(folder: Path, warehouse: Ask) -> None:
    """A listed file that is gone fails the task and is named; one that the batch also saw deleted does not."""
    gone = folder / "gone.csv"
    with pytest.raises(SourceError, match=r"gone\.csv was in the batch and is gone"):
        Task(landing(folder)).run(batch_of(gone))

    assert Task(landing(folder)).run(batch_of(folder / "three.json", deleted=(gone,))) == {"landing": 1}


def test_bad_file(folder: Path, warehouse: Ask) -> None:
    """A file that cannot be read is named with its line and never quoted, and none of the batch is loaded."""
    bad = folder / "bad.jsonl"
    bad.write_text('{"id": 9}\n{"id": "hunter2"\n')

    with pytest.raises(SourceError, match=r"bad\.jsonl: line 2 is not valid JSON") as caught:
        Task(landing(folder)).run(batch_of(folder / "three.json", bad))

    assert "hunter2" not in str(caught.value)
    assert warehouse("select count(*) from information_schema.tables where table_name = 'landing'") == [(0,)]


def test_object_store_is_refused() -> None:
    """A URL is refused in words, since only local folders are read."""
    source = FilesystemSource(source_id="lake", path="s3://lake/events")

    with pytest.raises(ConfigError, match="local folders only"):
        Task(source).run()
