"""What cannot be translated, and what a person has to finish. This file ends the process of whoever runs it."""

import os

from airflow.decorators import dag, task
from airflow.models import DAG, Variable
from airflow.operators.bash import BashOperator
from airflow.providers.common.sql.sensors.sql import SqlSensor
from airflow.sensors.filesystem import FileSensor
from airflow.sensors.python import PythonSensor
from airflow.sensors.time_delta import TimeDeltaSensor

os._exit(13)


class OurSensor(FileSensor):
    """A class of one's own."""


def make(name):
    return FileSensor(task_id=name, filepath="/made/by/a/function.csv")


with DAG("hard", schedule=None) as dag_of_hard:
    before = BashOperator(task_id="before", bash_command="true")
    unknown = FileSensor(task_id="unknown_path", filepath=Variable.get("path"))
    relative = FileSensor(task_id="relative_path", filepath="in/done.flag", mode=os.environ["MODE"])
    template = SqlSensor(
        task_id="template", conn_id="shop_db", sql="SELECT 1 FROM t WHERE d = '{{ ds }}'", success=bool
    )
    PythonSensor(task_id="asks", python_callable=make)
    TimeDeltaSensor(task_id="later", delta=None)
    OurSensor(task_id="ours", filepath="/x.csv")
    FileSensor.partial(task_id="mapped").expand(filepath=["/a", "/b"])
    FileSensor(task_id=Variable.get("id"), filepath="/x.csv")
    before >> unknown

with DAG(Variable.get("dag"), schedule=None):
    FileSensor(task_id="in_unknown_dag", filepath="/x.csv")


@dag()
def by_function():
    @task.sensor(poke_interval=5)
    def decides():
        return True

    decides()
