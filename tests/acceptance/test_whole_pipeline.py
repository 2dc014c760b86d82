"""Every kind of task in one YAML, triggered by a row: loaded, built, checked and sent to Snowflake; red where it must be."""

from __future__ import annotations

import json
import os
import subprocess
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import psycopg
import pytest

from local.airflow import ROOT, AirflowServer
from local.postgres import PostgresServer
from local.snowflake import SnowflakeServer
from tests.acceptance.conftest import API_PASSWORD
from tests.acceptance.daemon import Daemon, Place
from tests.acceptance.runs import Run, wait_for_runs
from tests.acceptance.test_first_light import loaded
from tests.dags.http_server import Answer, Asked, HttpServer

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(400)]

PIPELINES = Path(__file__).with_name("pipelines")
GREEN, RED = "whole_pipeline", "pipeline_with_a_bad_row"
TRIES_THAT_FAIL = 2
REQUESTS_OF_A_TRY = 3  # dlt's client asks so often by itself before the task fails
WORD = "it's; published"


def publish(place: Place, folder: Path, name: str, **values: str) -> None:
    """One pipeline file with its `$`names replaced, for the daemon and for Airflow."""
    text = Template((PIPELINES / f"{name}.yaml").read_text("utf-8")).substitute(values)
    (place.pipelines / f"{name}.yaml").write_text(text, "utf-8")
    (folder / "pipelines" / f"{name}.yaml").write_text(text, "utf-8")


def payments(asked: Asked) -> Answer:
    """Two pages: the first two orders are paid by card, all others in cash."""
    if "page" in asked.params:
        return Answer({"items": [{"order_id": order, "method": "cash"} for order in range(3, 10)]})
    page = [{"order_id": order, "method": "card"} for order in (1, 2)]
    return Answer({"items": page, "next": "/payments?page=2"})


def after_failures(api: HttpServer, count: int) -> Callable[[Asked], Answer]:
    """Error 500 for so many requests, then payments."""
    before = len(api.asked)
    return lambda asked: payments(asked) if len(api.asked) - before > count else Answer("boom", 500)


def order(shop: PostgresServer, table: str, *amounts: int) -> None:
    """One commit of new orders."""
    with psycopg.connect(shop.url("shop")) as connection:
        connection.execute(f"insert into {table}(amount) select unnest(%s::int[])", [list(amounts)])


@dataclass(frozen=True)
class Ended:
    """A run that has ended, as Airflow tells it."""

    airflow: AirflowServer
    run: Run

    @property
    def tasks(self) -> str:
        return f"/api/v2/dags/{self.run['dag_id']}/dagRuns/{self.run['dag_run_id']}/taskInstances"

    def states(self) -> dict[str, str]:
        return {task["task_id"]: task["state"] for task in self.airflow.get(self.tasks)["task_instances"]}

    def tries(self, task: str) -> list[str]:
        found = self.airflow.get(f"{self.tasks}/{task}/tries")["task_instances"]
        return [each["state"] for each in sorted(found, key=lambda each: each["try_number"])]

    def xcom(self, task: str, key: str = "return_value") -> Any:
        return self.airflow.get(f"{self.tasks}/{task}/xcomEntries/{key}?stringify=false")["value"]

    def rules(self, task: str) -> dict[str, tuple[str, bool, int, int]]:
        """Rule -> severity, passed, failing, checked."""
        table = self.xcom(task)
        return {line["rule"]: (line["severity"], line["passed"], line["failing"], line["checked"]) for line in table}

    def log(self, task: str) -> str:
        """The log of its first try."""
        return json.dumps(self.airflow.get(f"{self.tasks}/{task}/logs/1?full_content=true")["content"])


def only_run(airflow: AirflowServer, dag_id: str) -> Ended:
    """The run of a DAG once it has ended; there must not be another one."""

    def done(found: list[Run]) -> bool:
        assert len(found) <= 1, [run["dag_run_id"] for run in found]
        return bool(found) and found[0]["state"] in ("success", "failed")

    return Ended(airflow, wait_for_runs(airflow, dag_id, done)[0])


def published(snowflake: SnowflakeServer) -> list[str]:
    """What the Snowflake tasks have written, asked by Snowflake's own connector."""
    code = (
        "import json, sys, snowflake.connector as s; c = s.connect(account='fakesnow', user='u', password='p', "
        "host='localhost', port=int(sys.argv[1]), database='DB1', schema='PUBLIC'); "
        "print(json.dumps([row[0] for row in c.cursor().execute('select word from published')]))"
    )
    command = [ROOT / ".venv-airflow" / "bin" / "python", "-c", code, str(snowflake.port)]
    environment = {**os.environ, **snowflake.environment()}
    answer = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return list(json.loads(answer.stdout))


def test_one_yaml_from_a_row_to_snowflake(
    airflow: AirflowServer,
    shop: PostgresServer,
    api: HttpServer,
    snowflake: SnowflakeServer,
    place: Place,
    folder: Path,
    table: str,
) -> None:
    """Of two pipelines on one table one has exactly its bad check red, one is green though its API failed twice."""
    landing = folder / "refunds"
    landing.mkdir()
    publish(place, folder, GREEN, table=table, landing=str(landing), word=WORD)
    publish(place, folder, RED, table=table)
    airflow.wait_for_dag(GREEN)
    airflow.wait_for_dag(RED)
    api.answer = after_failures(api, TRIES_THAT_FAIL * REQUESTS_OF_A_TRY)
    with Daemon(place) as daemon:
        for name, source in ((GREEN, "orders_db"), (GREEN, "refund_files"), (RED, "orders_db")):
            at = {"pipeline": name, "source": source}
            daemon.wait_for("first_look_done", where=lambda line, at=at: at.items() <= line.items())
        order(shop, table, 10, 20, 30)
        red = only_run(airflow, RED)
        daemon.wait_for("run_failed", where=lambda line: line["pipeline"] == RED)

        (landing / "a.csv").write_text("order_id,amount\n1,4\n")
        order(shop, table, 5)
        green = only_run(airflow, GREEN)
        daemon.wait_for("run_succeeded", where=lambda line: line["pipeline"] == GREEN)
        assert daemon.stop() == 0
    _assert_batch(green)
    _assert_tasks(green)
    _assert_red(red)
    income = f"select method, orders, cast(amount as int) from {GREEN}.income_by_method order by 1"
    assert loaded(folder, income) == [("card", 2, 26), ("cash", 2, 35)]
    assert published(snowflake) == [WORD]
    _assert_password_went_to_the_api_only(airflow, api)


def _assert_batch(green: Ended) -> None:
    """Conf, note and the first tasks' XCom say the same."""
    batch = green.run["conf"]["watcher"]
    assert {name: source["changes"] for name, source in batch["sources"].items()} == {"orders_db": 4, "refund_files": 1}
    assert batch["reason"] == "changes 5 >= 5"
    head, *rest = green.run["note"].splitlines()
    assert head == "5 changes in orders_db and refund_files (limit 5)"
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in rest if line.startswith("| ")]
    assert [(source, changes, of_these) for source, changes, _, of_these in rows[1:]] == [
        ("orders_db", "4", "unknown 4"),
        ("refund_files", "1", "insert 1"),
    ]
    assert rest[-1] == f"Batch {green.run['dag_run_id'].rpartition('__')[2]} of {GREEN}"
    for task in ("ingest_orders_db", "ingest_shop_api", "ingest_refund_files"):
        assert green.xcom(task, "detected_changes") == batch["sources"]


def _assert_tasks(green: Ended) -> None:
    """Every task is green, the API's at its third try, and says in XCom what it did."""
    assert green.states() == dict.fromkeys(
        [
            *("ingest_orders_db", "ingest_shop_api", "ingest_refund_files"),
            *("transform_staging_orders", "transform_income_by_method"),
            *("validate_staging_orders", "validate_income_by_method", "snowflake_publish"),
        ],
        "success",
    )
    assert green.tries("ingest_shop_api") == ["failed", "failed", "success"]
    assert "answers 500" in green.log("ingest_shop_api")
    assert green.tries("ingest_orders_db") == ["success"]
    assert green.xcom("ingest_orders_db") == {"orders": 4}
    assert green.xcom("ingest_shop_api") == {"payments": 9}
    assert green.xcom("ingest_refund_files") == {"refunds": 1}
    for model in ("staging_orders", "income_by_method"):
        assert green.xcom(f"transform_{model}")[model]["status"] == "success"
    assert green.rules("validate_staging_orders") == {
        "not_null": ("error", True, 0, 4),
        "unique": ("error", True, 0, 4),
    }
    assert green.rules("validate_income_by_method") == {
        "accepted_values": ("warn", False, 1, 2),
        "range": ("error", True, 0, 2),
    }
    assert len(set(green.xcom("snowflake_publish"))) == 2


def _assert_red(red: Ended) -> None:
    """The broken rule's task is red with the whole table in XCom; the one beside it is green, the one after it never ran."""
    assert red.run["state"] == "failed"
    assert red.states() == {
        "ingest_orders_db": "success",
        "validate_orders": "failed",
        "validate_no_debts": "success",
        "snowflake_publish": "upstream_failed",
    }
    assert red.tries("validate_orders") == ["failed"]
    assert red.rules("validate_orders") == {"unique": ("error", True, 0, 3), "range": ("error", False, 1, 3)}
    assert red.rules("validate_no_debts") == {"sql": ("error", True, 0, 0)}
    assert "FAILED: range orders.amount: 1 of 3 fail" in red.log("validate_orders")
    assert red.run["note"].splitlines()[0] == "3 changes in orders_db (limit 3)"


def _assert_password_went_to_the_api_only(airflow: AirflowServer, api: HttpServer) -> None:
    proof = b64encode(f"watcher:{API_PASSWORD}".encode()).decode()
    assert {asked.headers["authorization"] for asked in api.asked} == {f"Basic {proof}"}
    logs = [path for path in (airflow.home / "logs").rglob("*.log") if GREEN in str(path)]
    assert len(logs) >= 10  # 8 tasks, and two more tries of one of them
    for path in logs:
        text = path.read_text(encoding="utf-8", errors="replace")
        assert API_PASSWORD not in text, path
        assert proof not in text, path
