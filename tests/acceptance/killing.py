"""kill -9 in a loop while rows and files are written; afterwards every change must be in exactly one run."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from local.airflow import AirflowServer
from tests.acceptance.daemon import Daemon, Place
from tests.acceptance.runs import Run, runs

STARTING, AT_WORK = 1.5, 2.5
"""Seconds: every fourth daemon is killed so soon after its start, the others so long after they are at work."""


@dataclass
class Writer:
    """The oracle: commits rows in single and overlapping transactions, drops files, and keeps its own list."""

    url: str
    table: str
    landing: Path
    rng: random.Random
    rows: int = 0
    files: set[str] = field(default_factory=set)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Writer:
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        assert self._thread is not None
        self._thread.join(30)

    def _write(self) -> None:
        with psycopg.connect(self.url) as early, psycopg.connect(self.url) as late:
            while not self._stop.wait(self.rng.uniform(0.02, 0.15)):
                count = self.rng.randint(1, 4)
                late.execute(f"insert into {self.table}(amount) select n from generate_series(1, {count}) n")
                early.execute(f"insert into {self.table}(amount) values(1)")
                early.commit()  # the younger transaction first: the older one commits late
                self.rows += 1
                if self.rng.random() < 0.1:
                    late.rollback()
                else:
                    late.commit()
                    self.rows += count
                if self.rng.random() < 0.3:
                    self._drop_file()

    def _drop_file(self) -> None:
        name = f"f{len(self.files):05}.csv"
        part = self.landing / f"{name}.part"
        part.write_text("id\n1\n")
        part.rename(self.landing / name)
        self.files.add(str(self.landing / name))


def pipeline(table: str, landing: Path, dag_id: str) -> dict[str, Any]:
    """A table and a folder that fire often, into an existing DAG."""
    return {
        "name": table,
        "dag_id": dag_id,
        "sources": [
            {
                "source_id": "rows",
                "source_type": "database",
                "connection": "shop_db",
                "table": f"public.{table}",
                "watch": {"column": "updated_at", "interval": "1s", "notify": table},
            },
            {
                "source_id": "files",
                "source_type": "filesystem",
                "path": str(landing),
                "pattern": "*.csv",
                "watch": {"settle": "0s", "interval": "1s", "rescan": "1s"},
            },
        ],
        "trigger": {"changes": 15, "max_wait": "2s", "while_running": "parallel"},
    }


@dataclass(frozen=True)
class Verdict:
    """What the oracle wrote against what the runs hold."""

    kills: int
    runs: int
    rows_written: int
    rows_in_runs: int
    files_written: int
    files_lost: int
    files_doubled: int
    uids_doubled: int

    @property
    def clean(self) -> bool:
        return self.rows_written == self.rows_in_runs and not (
            self.files_lost or self.files_doubled or self.uids_doubled
        )

    def __str__(self) -> str:
        lost = max(0, self.rows_written - self.rows_in_runs) + self.files_lost
        doubled = max(0, self.rows_in_runs - self.rows_written) + self.files_doubled + self.uids_doubled
        return (
            f"{self.kills} kills, {self.runs} runs, {self.rows_written} rows and {self.files_written} files written: "
            f"lost {lost}, doubled {doubled}"
        )


def kill_in_a_loop(airflow: AirflowServer, place: Place, shop_url: str, table: str, kills: int, seed: int) -> Verdict:
    """Runs the loop against the DAG `counted`; the seed repeats the same moments as far as the machine allows."""
    rng = random.Random(seed)
    landing = place.folder / "landing"
    landing.mkdir()
    (place.pipelines / f"{table}.yaml").write_text(json.dumps(pipeline(table, landing, "counted")))
    airflow.wait_for_dag("counted")
    before = {run["dag_run_id"] for run in runs(airflow, "counted")}
    with Daemon(place) as first:  # the first look of both sources lies before the first row
        for source in ("rows", "files"):
            first.wait_for("first_look_done", where=lambda line, name=source: line["source"] == name)
    with Writer(shop_url, table, landing, rng) as writer:
        for _ in range(kills):
            daemon = Daemon(place)
            starting = rng.random() < 0.25
            if not starting:
                daemon.wait_for("daemon_started")
            # the moment of the kill is the test's input, not a synchronisation
            time.sleep(rng.uniform(0.05, STARTING if starting else AT_WORK))
            daemon.kill()
    with Daemon(place) as last:
        made = _drained(airflow, last, before, writer)
        assert last.stop() == 0
    return _verdict(kills, writer, made)


def _drained(airflow: AirflowServer, daemon: Daemon, before: set[str], writer: Writer) -> list[Run]:
    """The runs once they hold as many changes as were written, or what there is when nothing moves any more."""
    deadline = time.monotonic() + 120
    while True:
        made = [run for run in runs(airflow, "counted") if run["dag_run_id"] not in before]
        held = sum(source["changes"] for run in made for source in run["conf"]["watcher"]["sources"].values())
        if held >= writer.rows + len(writer.files) or time.monotonic() > deadline:
            return made
        assert daemon.process.poll() is None, daemon.tail()
        time.sleep(1)  # paces the question to Airflow


def _verdict(kills: int, writer: Writer, made: list[Run]) -> Verdict:
    sources = [run["conf"]["watcher"]["sources"] for run in made]
    listed = Counter(path for found in sources for path in found.get("files", {}).get("files", ()))
    uids = Counter(run["conf"]["watcher"]["uid"] for run in made)
    return Verdict(
        kills=kills,
        runs=len(made),
        rows_written=writer.rows,
        rows_in_runs=sum(found["rows"]["changes"] for found in sources if "rows" in found),
        files_written=len(writer.files),
        files_lost=len(writer.files - set(listed)),
        files_doubled=sum(count - 1 for count in listed.values()),
        uids_doubled=sum(count - 1 for count in uids.values()),
    )
