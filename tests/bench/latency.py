"""From the change to the run row in Airflow, next to the bare POST in the same run."""

from __future__ import annotations

import json
import random
import statistics
import time
import urllib.request
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from local.airflow import AirflowServer
from tests.acceptance.daemon import Daemon, Place
from tests.acceptance.runs import Run

DAG = "measured"


def percentiles(name: str, seconds: Iterable[float]) -> str:
    """One line: median, 95th percentile, worst, in ms."""
    ordered = sorted(value * 1000 for value in seconds)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return f"{name:<52} n={len(ordered):<4} p50 {statistics.median(ordered):7.1f}  p95 {p95:7.1f}  max {ordered[-1]:7.1f} ms"


def bare_posts(airflow: AirflowServer, count: int, pause: Callable[[], None]) -> list[float]:
    """POST by POST: from just before the request to the row's own time. The floor for any push."""
    found = []
    for _ in range(count):
        pause()
        body = {"logical_date": None, "dag_run_id": f"bare_{time.time_ns()}", "conf": {}}
        token = airflow.request("POST", "/auth/token", _login(airflow), token=None)["access_token"]
        before = time.time()
        run = _post(airflow, token, body)
        found.append(_row_time(run) - before)
    return found


def changes(
    airflow: AirflowServer, daemon: Daemon, make: Callable[[], float], count: int, pause: Callable[[], None]
) -> list[float]:
    """`make` does one change and answers when (wall clock, seconds) it was done; its run is waited for in the daemon's log."""
    found = []
    for _ in range(count):
        pause()
        known = len(daemon.lines)
        done = make()
        run_id = daemon.wait_for("batch_confirmed", after=known, seconds=30)["dag_run_id"]
        found.append(_row_time(airflow.get(f"/api/v2/dags/{DAG}/dagRuns/{run_id}")) - done)
    return found


def measure(airflow: AirflowServer, place: Place, shop_url: str, table: str, count: int) -> list[str]:
    """The lines of the report."""
    rng = random.Random(1)

    def pause() -> None:
        time.sleep(rng.uniform(0.3, 0.8))

    landing = place.folder / "landing"
    landing.mkdir()
    _publish(place, table, landing)
    airflow.wait_for_dag(DAG)
    lines = [percentiles("bare POST dagRuns -> run row", bare_posts(airflow, count, pause))]
    with Daemon(place) as daemon, psycopg.connect(shop_url, autocommit=True) as connection:
        for source in ("rows", "files"):
            daemon.wait_for("first_look_done", where=lambda line, name=source: line["source"] == name)

        def commit() -> float:
            connection.execute(f"insert into {table}(amount) values(1)")
            return time.time()

        def close_file() -> float:
            part = landing / f"{time.time_ns()}.part"
            part.write_text("id\n1\n")
            part.rename(part.with_suffix(".csv"))
            return time.time()

        lines.append(
            percentiles("commit in PostgreSQL (notify) -> run row", changes(airflow, daemon, commit, count, pause))
        )
        lines.append(
            percentiles("file complete (inotify) -> run row", changes(airflow, daemon, close_file, count, pause))
        )
        lines.append(f"daemon: resident {_resident(daemon.process.pid):.0f} MiB")
    return lines


def _publish(place: Place, table: str, landing: Path) -> None:
    common = {"dag_id": DAG, "trigger": {"changes": 1, "while_running": "parallel"}}
    rows = {
        "source_id": "rows",
        "source_type": "database",
        "connection": "shop_db",
        "table": f"public.{table}",
        "watch": {"column": "updated_at", "notify": table},
    }
    files = {"source_id": "files", "source_type": "filesystem", "path": str(landing), "watch": {"settle": "0s"}}
    for source in (rows, files):
        name = f"measured_{source['source_id']}"
        text = json.dumps({"name": name, "sources": [source], **common})
        (place.pipelines / f"{name}.yaml").write_text(text)


def _login(airflow: AirflowServer) -> dict[str, str]:
    return {"username": airflow.username, "password": airflow.password}


def _post(airflow: AirflowServer, token: str, body: object) -> Run:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    url = f"{airflow.url}/api/v2/dags/{DAG}/dagRuns"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        run: Run = json.load(answer)
        return run


def _row_time(run: Run) -> float:
    """When Airflow made the row: it stamps `queued_at` while it inserts."""
    return datetime.fromisoformat(run["queued_at"]).astimezone(UTC).timestamp()


def _resident(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return int(kilobytes) / 1024
