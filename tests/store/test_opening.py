"""Opening a store, or being told why not."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path
from urllib.parse import quote

import pytest

from local.postgres import PostgresServer
from tests.store.conftest import sqlite_url
from tests.store.making import fired, found, load, recorded
from watcher.errors import CannotStartError, ConfigError, StoreError
from watcher.store import batches, ledger, open_store, open_store_readonly, pipelines
from watcher.store.looks import StoredInventory


async def test_reopening_keeps_everything(new_url: str) -> None:
    """Cursor, pending, batches and sums are what they were, and numbers go on where they stopped."""
    async with open_store(new_url, migrate=True) as store:
        await recorded(store, found(2, {"at": 1}))
        batch = await fired(store)
        state = await recorded(store, found(3, {"at": 2}))
        before = (await pipelines.overview(store), await ledger.sums(store), await batches.facts(store, batch))
    async with open_store(new_url) as store:
        after = (await pipelines.overview(store), await ledger.sums(store), await batches.facts(store, batch))
        assert after == before
        assert await load(store) == state
        assert (await fired(store)).number == 2


async def test_a_killed_daemon_leaves_what_it_committed(tmp_path: Path) -> None:
    """After an end without any clean-up the store opens at once, with every committed row and no other."""
    program = f"""
import asyncio, os
from tests.store.making import at_commit, found, recorded
from watcher.store import open_store

async def main():
    async with open_store({sqlite_url(tmp_path)!r}) as store:
        await recorded(store, found(1, {{"at": 1}}))
        with at_commit(lambda: os._exit(137)):
            await recorded(store, found(1, {{"at": 2}}))

asyncio.run(main())
"""
    root = Path(__file__).parents[2]
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, cwd=root)
    assert await asyncio.wait_for(process.wait(), 30) == 137
    async with open_store(sqlite_url(tmp_path)) as store:
        assert (await load(store)).cursor == {"at": 1}
        assert await ledger.unaccounted(store) == 0


async def test_the_second_daemon_on_a_file_is_refused(tmp_path: Path) -> None:
    """It says which process has the store; when that one is gone the store can be taken."""
    async with open_store(sqlite_url(tmp_path)) as store:
        with pytest.raises(CannotStartError, match=f"pid {os.getpid()} has the store") as refused:
            await _opened(sqlite_url(tmp_path))
        assert refused.value.code == "store-taken"
        await recorded(store, found())
    await _opened(sqlite_url(tmp_path))


async def test_a_daemon_in_another_process_is_named(tmp_path: Path) -> None:
    """The pid in the refusal is that of the other process."""
    lock = tmp_path / "state" / "watcher.db.lock"
    lock.parent.mkdir()
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _HOLDER, lock, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    assert await asyncio.wait_for(other.stdout.readline(), 10) == b"locked\n"
    with pytest.raises(CannotStartError, match=f"pid {other.pid} has"):
        await _opened(sqlite_url(tmp_path))
    await asyncio.wait_for(other.communicate(b""), 10)
    await _opened(sqlite_url(tmp_path))


async def test_folder_and_files_are_private(tmp_path: Path) -> None:
    """The folder is 0700 and each file in it 0600, whatever the umask, also one that had wider rights."""
    old = os.umask(0)
    try:
        async with open_store(sqlite_url(tmp_path)) as store:
            await recorded(store, found())
            folder = tmp_path / "state"
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
            assert files == dict.fromkeys(("watcher.db", "watcher.db-wal", "watcher.db-shm", "watcher.db.lock"), 0o600)
    finally:
        os.umask(old)
    (folder / "watcher.db").chmod(0o644)
    await _opened(sqlite_url(tmp_path))
    assert stat.S_IMODE((folder / "watcher.db").stat().st_mode) == 0o600


@pytest.mark.parametrize("where", [0, 4096 * 3, 4096 * 5])
async def test_a_damaged_file_is_refused_and_left_as_it_is(tmp_path: Path, where: int) -> None:
    """Wherever the bytes are wrong, the daemon does not start and changes nothing."""
    async with open_store(sqlite_url(tmp_path)) as store:
        for number in range(20):
            await recorded(store, found(1, {"at": number}))
    path = tmp_path / "state" / "watcher.db"
    with path.open("r+b") as file:
        file.seek(where)
        file.write(b"\xa5" * 4096)
    damaged = path.read_bytes()
    with pytest.raises(CannotStartError) as refused:
        await _opened(sqlite_url(tmp_path))
    assert refused.value.code == "store-damaged"
    assert path.read_bytes() == damaged


async def test_a_newer_store_is_refused(new_url: str) -> None:
    """A program never works on tables it does not know, neither writing nor reading."""
    async with open_store(new_url, migrate=True) as store, store.write() as connection:
        await connection.exec_driver_sql("update alembic_version set version_num = '9999'")
    for opening in (_opened(new_url, migrate=True), _looked_at(new_url)):
        with pytest.raises(CannotStartError) as refused:
            await opening
        assert refused.value.code == "store-newer"


async def test_postgresql_is_not_migrated_by_itself(new_postgres_url: Callable[[], str]) -> None:
    """Other replicas may run on it: without `migrate` an empty database is refused and stays empty."""
    url = new_postgres_url()
    for opening in (_opened(url), _opened(url, migrate=False), _looked_at(url)):
        with pytest.raises(CannotStartError, match="no tables") as refused:
            await opening
        assert refused.value.code == "store-older"
    await _opened(url, migrate=True)
    await _opened(url)


async def test_three_daemons_start_at_once_on_an_empty_postgresql(new_postgres_url: Callable[[], str]) -> None:
    """One migrates, the others wait for it and find the work done."""
    url = new_postgres_url()
    await asyncio.gather(*(_opened(url, migrate=True) for _ in range(3)))
    await _opened(url)


async def test_an_unmigrated_file_is_not_touched_when_told_not_to(tmp_path: Path) -> None:
    """`migrate=False` refuses a new file too."""
    with pytest.raises(CannotStartError) as refused:
        await _opened(sqlite_url(tmp_path), migrate=False)
    assert refused.value.code == "store-older"


async def test_a_missing_file_is_not_made_by_looking(tmp_path: Path) -> None:
    """`watcher status` before the first start says so and creates nothing."""
    with pytest.raises(CannotStartError) as refused:
        await _looked_at(sqlite_url(tmp_path))
    assert refused.value.code == "store-unreachable"
    assert not (tmp_path / "state").exists()


async def test_looking_at_a_file_without_a_daemon(tmp_path: Path) -> None:
    """The last state can be read while no daemon runs."""
    async with open_store(sqlite_url(tmp_path)) as store:
        await recorded(store, found(2))
    async with open_store_readonly(sqlite_url(tmp_path)) as looking:
        assert [row.pending_changes for row in await pipelines.overview(looking)] == [2]
        assert await StoredInventory(looking, "orders", "db").read() == {}


@pytest.mark.parametrize(
    "url",
    [
        "mysql://root:geheim@host/db",
        "sqlite://",
        "sqlite:///:memory:",
        "nonsense geheim",
        "postgresql://u:geheim@host:port/db",
    ],
)
async def test_an_address_of_another_kind_is_refused(url: str) -> None:
    """The message says what is wanted and never shows a password."""
    with pytest.raises(ConfigError) as refused:
        await _opened(url)
    assert refused.value.code == "bad-settings"
    assert "geheim" not in str(refused.value)


async def test_a_server_that_is_away_is_named_without_its_password() -> None:
    """The daemon cannot start and says where it looked."""
    with pytest.raises(CannotStartError, match=r"127\.0\.0\.1:1/store") as refused:
        await _opened("postgresql://watcher:geheim@127.0.0.1:1/store")
    assert refused.value.code == "store-unreachable"
    assert "geheim" not in str(refused.value)


async def test_a_server_that_comes_back_is_used_again(
    postgres: PostgresServer, new_postgres_url: Callable[[], str]
) -> None:
    """While PostgreSQL is away verbs are refused as unreachable; when it is back they work, without a restart of ours."""
    async with open_store(new_postgres_url(), migrate=True) as store:
        state = await recorded(store, found(1, {"at": 1}))
        await asyncio.to_thread(postgres.stop)
        try:
            for _ in range(2):
                with pytest.raises(StoreError) as refused:
                    await load(store)
                assert refused.value.code == "store-unreachable"
        finally:
            await asyncio.to_thread(postgres.start)
        assert await load(store) == state


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file where the folder should be: the daemon cannot start, and the message has the path."""
    (tmp_path / "state").write_text("", encoding="utf-8")
    with pytest.raises(CannotStartError, match=r"state/watcher\.db") as refused:
        await _opened(sqlite_url(tmp_path))
    assert refused.value.code == "store-unreachable"


async def test_durability_settings_hold_on_the_writing_connection(tmp_path: Path) -> None:
    """A commit is on disk before it counts, and a row never points to nothing."""
    async with open_store(sqlite_url(tmp_path)) as store, store.write() as connection:
        asked = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        found = {name: (await connection.exec_driver_sql(f"pragma {name}")).scalar_one() for name in asked}
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}


async def test_a_path_with_strange_characters_is_that_path(tmp_path: Path) -> None:
    """Question marks, spaces and percent signs of a folder, percent-encoded in the address, are found again."""
    folder = tmp_path / "a %41 #b?c"
    async with open_store(f"sqlite:///{quote(str(folder))}/watcher.db") as store:
        await recorded(store, found())
    with closing(sqlite3.connect(folder / "watcher.db")) as connection:
        assert connection.execute("select count(*) from detection").fetchone() == (1,)


_HOLDER = """
import fcntl, os, sys
with open(sys.argv[1], "w") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    print(os.getpid(), file=file, flush=True)
    print("locked", flush=True)
    sys.stdin.read()
"""


async def _opened(url: str, *, migrate: bool | None = None) -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(open_store(url, migrate=migrate))


async def _looked_at(url: str) -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(open_store_readonly(url))
