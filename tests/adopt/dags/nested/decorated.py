"""An Airflow DAG in the style of decorators, with groups, a loop, and every kind that has an equivalent."""

import pendulum
from airflow.providers.amazon.aws.sensors import s3
from airflow.providers.http.sensors.http import HttpSensor
from airflow.providers.standard.sensors.external_task import ExternalTaskSensor as Upstream
from airflow.providers.standard.sensors.filesystem import FileSensor
from airflow.sdk import TaskGroup, dag, task

TABLES = ["orders", "lines"]


@dag(schedule=None, start_date=pendulum.datetime(2024, 1, 1), catchup=False)
def nightly():
    @task
    def prepare():
        return 1

    ready = prepare()
    with TaskGroup("files") as files:
        for table in TABLES:
            FileSensor(task_id=f"wait_{table}", filepath=f"/data/{table}.parquet", deferrable=True)
    bucket = s3.S3KeySensor(
        task_id="wait_for_bucket", bucket_key="s3://lake/events/{{ ds }}/*.json", wildcard_match=True, deferrable=True
    )
    rates = HttpSensor(
        task_id="rates",
        http_conn_id="rates_http",
        endpoint="v1/rates",
        request_params={"base": "EUR"},
        poke_interval=30,
    )
    upstream = Upstream(task_id="upstream", external_dag_id="staging", external_task_id="done", mode="reschedule")
    ready >> files
    [bucket, rates] >> upstream


nightly()
