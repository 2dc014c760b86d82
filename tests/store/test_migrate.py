"""Migrations: the tables of a real store are those of the schema, and an update never loses data."""

from __future__ import annotations

import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect
from sqlalchemy.engine import Connection

from tests.store.conftest import sqlite_url
from tests.store.making import found, load, recorded
from watcher.errors import CannotStartError, WatcherError
from watcher.store import Store, migrate, open_store
from watcher.store.schema import STATES, metadata

NEXT = """
from alembic import op
import sqlalchemy as sa
revision, down_revision, branch_labels, depends_on = "0002", "0001", None, None

def upgrade():
    op.add_column("source", sa.Column("shelf", sa.Text()))
    op.execute("update source set shelf = 'top'")
"""


@pytest.fixture
def next_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Installs a program with one migration more."""

    def install(script: str) -> Path:
        folder = tmp_path / "migrations"
        shutil.copytree(migrate.SCRIPTS, folder, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        path = folder / "versions" / "v0002_next.py"
        path.write_text(script, encoding="utf-8")
        monkeypatch.setattr(migrate, "SCRIPTS", folder)
        return path

    return install


async def test_migrated_tables_are_those_of_the_schema(new_url: str) -> None:
    """Migrations and `schema.py` cannot drift apart: tables, columns, types, indices and rules are equal."""
    async with open_store(new_url, migrate=True) as store, store.write() as connection:
        assert await connection.run_sync(_differences) == []
        migrated = await connection.run_sync(_described)
        await connection.run_sync(metadata.drop_all)
        await connection.run_sync(metadata.create_all)
        assert await connection.run_sync(_described) == migrated


async def test_the_states_of_a_batch_are_a_closed_list(store: Store) -> None:
    """The database itself refuses any other word."""
    async with store.write() as connection:
        checks = await connection.run_sync(lambda sync: inspect(sync).get_check_constraints("batch"))
    assert all(f"'{state}'" in checks[0]["sqltext"] for state in STATES)


async def test_an_older_file_is_copied_then_migrated(tmp_path: Path, next_release: Callable[[str], Path]) -> None:
    """The new columns are there, the data is kept, and a private copy of the old store stands beside it."""
    async with open_store(sqlite_url(tmp_path)) as store:
        state = await recorded(store, found(2))
    next_release(NEXT)
    async with open_store(sqlite_url(tmp_path)) as store:
        assert await load(store) == state
        async with store.read() as connection:
            assert (await connection.exec_driver_sql("select shelf from source")).scalar_one() == "top"
    copy = tmp_path / "state" / "watcher.db.before-migration-of-0001"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with closing(sqlite3.connect(copy)) as old:
        assert old.execute("select version_num from alembic_version").fetchone() == ("0001",)
        assert old.execute("select recorded from source").fetchone() == (2,)
        assert "shelf" not in {row[1] for row in old.execute("pragma table_info(source)")}


async def test_an_older_postgresql_needs_the_word(new_url: str, next_release: Callable[[str], Path]) -> None:
    """Without `migrate` PostgreSQL is refused as older; with it the data is kept. SQLite refuses only when told to."""
    async with open_store(new_url, migrate=True) as store:
        state = await recorded(store, found(2))
    next_release(NEXT)
    with pytest.raises(CannotStartError) as refused:
        async with open_store(new_url, migrate=False):
            pass
    assert refused.value.code == "store-older"
    async with open_store(new_url, migrate=True) as store:
        assert await load(store) == state


async def test_a_migration_that_fails_half_way_changes_nothing(
    new_url: str, next_release: Callable[[str], Path]
) -> None:
    """One transaction each: the store is as it was, and the repaired program goes on."""
    async with open_store(new_url, migrate=True) as store:
        state = await recorded(store, found(2))
    path = next_release(NEXT + "    op.execute('update nothing set shelf = 1')\n")
    with pytest.raises(WatcherError):
        async with open_store(new_url, migrate=True):
            pass
    path.write_text(NEXT, encoding="utf-8")
    async with open_store(new_url, migrate=True) as store:
        assert await load(store) == state


def _differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


def _described(connection: Connection) -> dict[str, Any]:
    """All that the database says of our tables, in an order of its own."""
    look = inspect(connection)
    asked: dict[str, Callable[[str], Any]] = {
        "columns": look.get_columns,
        "primary key": look.get_pk_constraint,
        "foreign keys": look.get_foreign_keys,
        "unique": look.get_unique_constraints,
        "checks": look.get_check_constraints,
        "indexes": look.get_indexes,
    }
    return {f"{table} {what}": _plain(ask(table)) for table in metadata.tables for what, ask in asked.items()}


def _plain(described: Any) -> Any:
    """Comparable: a condition of an index is an object that equals only itself."""
    if isinstance(described, list):
        return sorted((_plain(one) for one in described), key=str)
    if isinstance(described, dict):
        return {key: _plain(value) for key, value in described.items()}
    return str(described)
