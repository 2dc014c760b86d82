"""`make bench`: starts the real parts, measures, prints."""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path

import psycopg

from local.airflow import AirflowLaunch, running_airflow
from local.postgres import running_postgres
from tests.acceptance.conftest import DAGS_FOR_TESTS, make_table
from tests.acceptance.daemon import Place
from tests.bench import latency


def main() -> None:
    """Latency from the change to the run row, next to the bare POST."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--count", type=int, default=30, help="changes of each kind")
    count = parser.parse_args().count
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else every process compiles its imports again
    with (
        tempfile.TemporaryDirectory(prefix="watcher-bench-") as made,
        running_postgres(Path(made) / "postgres") as shop,
    ):
        folder = Path(made)
        folder.chmod(0o755)
        (folder / "dags").mkdir()
        shutil.copy(DAGS_FOR_TESTS, folder / "dags")
        url = shop.create_database("shop")
        with psycopg.connect(url, autocommit=True) as connection:
            make_table(connection, "orders")
        with running_airflow(folder / "airflow", AirflowLaunch(dags_folder=folder / "dags")) as airflow:
            place = Place(folder / "daemon", airflow.url, airflow.password, {"AIRFLOW_CONN_SHOP_DB": url})
            place.write()
            for line in latency.measure(airflow, place, url, "orders", count):
                print(line, flush=True)


if __name__ == "__main__":
    main()
