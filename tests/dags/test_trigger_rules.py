"""What `check` believes of trigger rules is what Airflow's own scheduler does with them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import get_args

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG

from watcher.pipeline.reachable import ends
from watcher.pipeline.tasks import TriggerRule

STATES = ("success", "failed", "skipped", "upstream_failed")
SETS = [found for size in (1, 2, 4) for found in combinations(STATES, size)]
TEXT = f'''
"""An Airflow DAG with a task for each trigger rule behind each mixture of states."""
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowSkipException


class Ending(BaseOperator):
    def __init__(self, *, error, **kwargs):
        super().__init__(**kwargs)
        self.error = error

    def execute(self, context):
        if self.error is not None:
            raise self.error("as asked")


with DAG("rules", schedule=None) as dag:
    before = {{
        "success": Ending(task_id="success", error=None),
        "failed": Ending(task_id="failed", error=AirflowException),
        "skipped": Ending(task_id="skipped", error=AirflowSkipException),
        "upstream_failed": EmptyOperator(task_id="upstream_failed"),
    }}
    before["failed"] >> before["upstream_failed"]
    for rule in {get_args(TriggerRule)!r}:
        for states in {SETS!r}:
            task = EmptyOperator(task_id="__".join((rule, *states)), trigger_rule=rule)
            task.set_upstream([before[state] for state in states])
'''


@pytest.fixture
def rules() -> Iterator[DAG]:
    """The DAG in Airflow's own folder, with its database made ready."""
    folder = Path(os.environ["AIRFLOW_HOME"], "dags", "rules")
    folder.mkdir()
    (folder / "rules.py").write_text(TEXT)
    airflow = str(Path(sys.executable).with_name("airflow"))
    subprocess.run([airflow, "db", "migrate"], check=True, capture_output=True)
    yield DagBag(dag_folder=str(folder)).dags["rules"]
    shutil.rmtree(folder)


@pytest.mark.filterwarnings("ignore")  # the server inside of Airflow's `dag.test` warns about its own libraries
def test_every_rule_behind_every_mixture_of_states(rules: DAG) -> None:
    """Each task of a real run ends in a state that was foreseen, and starts exactly where that was foreseen."""
    run = rules.test()

    ended = {task.task_id: str(task.state) for task in run.get_task_instances()}
    assert {state: ended[state] for state in STATES} == {state: state for state in STATES}
    for rule in get_args(TriggerRule):
        for found in SETS:
            foreseen = ends(rule, found)
            state = ended["__".join((rule, *found))]
            assert state in foreseen, (rule, found, state)
            assert (state == "success") == ("success" in foreseen), (rule, found, state)
