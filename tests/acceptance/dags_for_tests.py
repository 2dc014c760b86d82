"""An Airflow DAG of one empty task, for tests that count runs and need no worker process."""

from datetime import UTC, datetime

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

for name in ("counted", "counted_too", "measured"):
    with DAG(name, schedule=None, start_date=datetime(2024, 1, 1, tzinfo=UTC), max_active_runs=16) as dag:
        EmptyOperator(task_id="nothing")
    globals()[name] = dag
