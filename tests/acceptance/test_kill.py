"""kill -9 at any instruction loses nothing and doubles nothing."""

from __future__ import annotations

import os
import random
import subprocess
from dataclasses import replace

import pytest

from local.airflow import AirflowServer
from local.postgres import PostgresServer
from tests.acceptance.daemon import WATCHER, Place
from tests.acceptance.killing import kill_in_a_loop

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(3600)]


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_kill_9_in_a_loop_loses_and_doubles_nothing(
    airflow: AirflowServer, shop: PostgresServer, place: Place, table: str, store: str
) -> None:
    """Whatever instruction each kill hit, what the oracle wrote is what the runs hold. WATCHER_KILLS sets how many."""
    if store == "postgresql":
        place = _on_postgres(place, shop, f"state_{table}")
    seed = int(os.environ.get("WATCHER_SEED", random.randrange(10**6)))
    kills = int(os.environ.get("WATCHER_KILLS", "8"))
    verdict = kill_in_a_loop(airflow, place, shop.url("shop"), table, kills, seed)
    print(f"\n{store}: {verdict} (WATCHER_KILLS={kills} WATCHER_SEED={seed})")
    assert verdict.rows_written > 0
    assert verdict.files_written > 0
    assert verdict.clean, f"{verdict}, repeat with WATCHER_SEED={seed}"


def _on_postgres(place: Place, shop: PostgresServer, database: str) -> Place:
    """The same place with its state in PostgreSQL, migrated as an operator does it."""
    moved = replace(place, store=shop.create_database(database))
    moved.write()
    command = [str(WATCHER), "store", "migrate", "--yes", "-c", str(moved.settings)]
    subprocess.run(command, check=True, env=moved.environment, cwd=moved.folder)
    return moved
