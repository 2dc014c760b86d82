"""Airflow reads this file and shows what is wrong with pipeline files as an import error; it makes no DAG, so none suffers."""

from pathlib import Path

from watcher.dags import raise_problems

raise_problems(near=Path(__file__))
