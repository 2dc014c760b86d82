"""An Airflow DAG in the plain style: two tasks that wait, one after the other."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow import DAG
from airflow.operators.bash import BashOperator
from airflow.providers.common.sql.sensors.sql import SqlSensor
from airflow.sensors.filesystem import FileSensor

ROOT = Path("/data") / "landing"
POKE = 60 * 2

with DAG(
    dag_id="landing",
    schedule="@daily",
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    default_args={"owner": "ana", "mode": "reschedule"},
) as dag:
    drop = FileSensor(task_id="wait_for_drop", filepath=f"{ROOT}/{{{{ ds }}}}/*.csv", fs_conn_id="fs", mode="poke")
    rows = SqlSensor(
        task_id="wait_for_rows",
        conn_id="shop_db",
        sql="SELECT count(*)\nFROM orders\nWHERE price > '$5'",
        poke_interval=timedelta(seconds=POKE),
    )
    load = BashOperator(task_id="load", bash_command="true")
    [drop, rows] >> load
