"""Models are built by dbt where ingest has loaded, one task each, and nothing but their tables stays behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException
from dbt_tasks import Build, batch_of, built, executable, pipeline, write

from watcher.dags.factory import Origin, build_dag
from watcher.errors import ConfigError
from watcher.pipeline.secrets import Secret

# dbt's and Cosmos' own libraries warn about themselves
pytestmark = [
    pytest.mark.usefixtures("dbt_project"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"),
]
Ask = Callable[[str], list[Any]]


@pytest.fixture
def own_temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's working folders are made, for a separate program too."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def daily(warehouse: Ask) -> list[Any]:
    return warehouse("select cast(day as text), orders, amount from orders.orders_daily order by day")


def test_view_then_incremental_table(warehouse: Ask) -> None:
    """A staging view and an incremental table on it are built in the dataset of ingest; a second run adds what is new."""
    assert built(model_name="staging_orders")["staging_orders"]["status"] == "success"
    assert built(model_name="orders_daily").keys() == {"orders_daily"}
    assert daily(warehouse) == [("2026-11-21", 1, 10), ("2026-11-22", 2, 25)]

    write(
        "insert into orders.orders values (4, 1, '2026-11-22 12:00'), (5, 7, '2026-11-23 09:00')",
        "insert into orders.orders values (6, 100, '2026-11-21 12:00')",
    )
    built(model_name="orders_daily")

    assert daily(warehouse) == [("2026-11-21", 1, 10), ("2026-11-22", 3, 26), ("2026-11-23", 1, 7)]


def test_full_refresh(warehouse: Ask) -> None:
    """With `full_refresh` an incremental model is built anew, old days included."""
    built(model_name="orders_daily", select="+orders_daily")
    write("insert into orders.orders values (6, 100, '2026-11-21 12:00')")

    built(model_name="orders_daily", full_refresh=True)

    assert daily(warehouse)[0] == ("2026-11-21", 2, 110)


def test_select(warehouse: Ask) -> None:
    """`select` takes the place of the model's name, in dbt's own words."""
    assert built(model_name="orders_daily", select="+orders_daily customers_by_country").keys() == {
        "staging_orders",
        "orders_daily",
        "customers_by_country",
    }


def test_vars(warehouse: Ask) -> None:
    """`vars` reach the models as they are written; no shell ever sees them."""
    built(model_name="staging_orders", vars={"since": "2026-11-22"})
    assert warehouse("select id from orders.staging_orders order by id") == [(2,), (3,)]

    with pytest.raises(AirflowException, match=r'"\$\(date\); `id`"'):
        built(model_name="orders_daily", select="+orders_daily", vars={"since": "$(date); `id`"})


def test_failing_model_says_why(warehouse: Ask, capfd: pytest.CaptureFixture[str]) -> None:
    """A model that fails is told in the database's words, by exception and log, and its status is in XCom; no stack of dbt."""
    task = Build(model_name="broken", select="broken staging_orders")

    with pytest.raises(AirflowException) as caught:
        task.run()

    told = str(caught.value)
    assert told.startswith("broken: Runtime Error in model broken (models/broken.sql)")
    assert 'Referenced column "no_such_column" not found' in told
    assert "Traceback" not in told
    assert "compiled code" not in told
    assert caught.value.__cause__ is None
    log = "".join(capfd.readouterr())
    assert "no_such_column" in log
    assert "Traceback" not in log
    statuses = {model: end["status"] for model, end in task.pushed["return_value"].items()}
    assert statuses == {"broken": "error", "staging_orders": "success"}


@pytest.mark.parametrize("separate", [False, True])
def test_project_that_cannot_be_parsed(dbt_project: Path, monkeypatch: pytest.MonkeyPatch, separate: bool) -> None:
    """What is wrong with the project itself is told by its own message too, wherever dbt runs."""
    (dbt_project / "models" / "orders_daily.sql").write_text("select * from {{ ref('nowhere') }}")
    if separate:
        monkeypatch.setenv("WATCHER_DBT_EXECUTABLE", executable())

    with pytest.raises(AirflowException, match="depends on a node named 'nowhere' which was not found") as caught:
        built(model_name="staging_orders")
    assert len(str(caught.value).splitlines()) < 8


def test_unknown_model(warehouse: Ask) -> None:
    """A name that the project does not have is an error with the nearest one, never a green task that did nothing."""
    with pytest.raises(ConfigError, match=r'nothing for select "order_daily"; did you mean "orders_daily"\?'):
        built(model_name="order_daily")


def test_separate_executable(warehouse: Ask, monkeypatch: pytest.MonkeyPatch, own_temp: Path, tmp_path: Path) -> None:
    """A dbt of another environment gives the same tables and the same answer, and its messages are the same."""
    log = tmp_path / "calls"
    program = tmp_path / "their dbt"
    program.write_text(f'#!/bin/sh\necho "$@" >> "{log}"\nexec "{executable()}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("WATCHER_DBT_EXECUTABLE", str(program))

    models = built(model_name="orders_daily", select="+orders_daily", vars={"since": "2026-11-22"}, full_refresh=True)

    assert {name: end["status"] for name, end in models.items()} == {
        "staging_orders": "success",
        "orders_daily": "success",
    }
    assert daily(warehouse) == [("2026-11-22", 2, 25)]
    assert "--full-refresh" in log.read_text()
    with pytest.raises(AirflowException, match="no_such_column"):
        built(model_name="broken")
    assert list(own_temp.iterdir()) == []


def test_nothing_stays_behind(warehouse: Ask, own_temp: Path, dbt_project: Path) -> None:
    """After success and failure there is no file in the temporary folder, the home or the project that was not there before."""
    before = sorted(str(path) for path in dbt_project.rglob("*"))

    built(model_name="staging_orders")
    with pytest.raises(AirflowException):
        built(model_name="broken")

    assert list(own_temp.iterdir()) == []
    assert not (own_temp.parent / "home").exists()
    assert sorted(str(path) for path in dbt_project.rglob("*")) == before


def test_folders_of_the_worker(warehouse: Ask, dbt_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where target and logs go does not depend on the worker's environment."""
    elsewhere = dbt_project.parent / "elsewhere"
    monkeypatch.setenv("DBT_TARGET_PATH", str(elsewhere / "target"))
    monkeypatch.setenv("DBT_LOG_PATH", str(elsewhere / "logs"))

    built(model_name="staging_orders")

    assert not elsewhere.exists()


def test_others_may_open_the_file_at_once(warehouse: Ask) -> None:
    """When the task ends the DuckDB file is closed, not only when its process does."""
    built(model_name="staging_orders")
    program = f"import duckdb; duckdb.connect({os.environ['WATCHER_DUCKDB']!r}).execute('create table main.t (i int)')"

    subprocess.run([sys.executable, "-c", program], check=True)

    assert warehouse("select count(*) from main.t") == [(0,)]


PARALLEL = """
import sys
sys.path[:0] = [{tests!r}]
import dbt_tasks as t
print(sorted(t.built(model_name=sys.argv[1])))
"""


def test_side_by_side(warehouse: Ask) -> None:
    """Tasks of one project that start at the same moment take turns at the file, and each gets its own answer."""
    program = PARALLEL.format(tests=str(Path(__file__).parents[1]))

    def start(model: str) -> str:
        done = subprocess.run([sys.executable, "-c", program, model], capture_output=True, text=True, check=False)
        return done.stdout.splitlines()[-1] if done.returncode == 0 else done.stdout + done.stderr

    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(start, ["staging_orders", "customers_by_country"]))

    assert told == ["['staging_orders']", "['customers_by_country']"]
    assert warehouse("select country, customers from orders.customers_by_country") == [("AT", 2)]


def test_secret_variable(
    warehouse: Ask, own_temp: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret among the variables reaches the model and no log, nor the command line of a separate program."""
    secret = {"since": "2026-11-22", "api_token": Secret("hunter2hunter2")}
    built(model_name="staging_orders", vars=secret)

    assert warehouse("select count(*) from orders.staging_orders") == [(2,)]
    assert "hunter2hunter2" not in "".join(capfd.readouterr())
    monkeypatch.setenv("WATCHER_DBT_EXECUTABLE", executable())
    with pytest.raises(ConfigError, match="vars with a secret cannot go to a separate dbt"):
        built(model_name="staging_orders", vars=secret)


def test_first_task_announces(warehouse: Ask) -> None:
    """A transformation that waits for nothing shows the batch's sources as the first ingest tasks do; others do not."""
    conf = batch_of(orders_db=5)
    task = Build(model_name="staging_orders")
    task.run(conf)
    assert task.pushed == {}

    task.operator.announces = True
    task.run(conf)
    assert task.pushed == {"detected_changes": conf["watcher"]["sources"]}


def test_task_of_the_dag() -> None:
    """The generated task has the pipeline's retries, timeout and trigger rule, and renders no template."""
    written = pipeline(
        {"model_name": "orders_daily", "trigger_rule": "all_done"},
        retries={"transform": {"attempts": 7}},
        monitoring={"task_timeout": {"transform": timedelta(minutes=20)}},
    )
    dag: DAG = build_dag(written, Origin("pipelines/orders.yaml", Path("/opt/airflow/dags/loader.py")))
    task = dag.task_dict["transform_orders_daily"]

    assert (task.retries, task.trigger_rule, task.template_fields) == (7, "all_done", ())
    assert task.execution_timeout == timedelta(minutes=20)
    assert task.upstream_task_ids == {"ingest_orders_db", "ingest_crm_db"}


def test_parse_imports_no_dbt() -> None:
    """Reading the DAG imports neither dbt nor Cosmos: every parse would pay seconds for it."""
    program = (
        f"import sys; sys.path[:0] = [{str(Path(__file__).parents[1])!r}]\n"
        "import dbt_tasks as t; t.Build(model_name='x', select='changed')\n"
        "heavy = ('dbt.', 'dlt.', 'cosmos.operators', 'cosmos.profiles')  # Airflow itself loads Cosmos' plugin\n"
        "print([name for name in sys.modules if name.startswith(heavy)])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"
