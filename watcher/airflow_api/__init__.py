"""The one door to Airflow's REST API: each answer becomes a fact with a next step."""

from watcher.airflow_api.answers import Answer
from watcher.airflow_api.bodies import DagState, TaskTime
from watcher.airflow_api.breaker import Breaker
from watcher.airflow_api.client import AirflowApi, open_airflow
from watcher.airflow_api.dag_facts import TaskTimes
from watcher.airflow_api.door import Health
from watcher.airflow_api.options import AirflowOptions
from watcher.airflow_api.runs import RunStatus

__all__ = [
    "AirflowApi",
    "AirflowOptions",
    "Answer",
    "Breaker",
    "DagState",
    "Health",
    "RunStatus",
    "TaskTime",
    "TaskTimes",
    "open_airflow",
]
