"""Airflow reads this file and finds one DAG for each valid file in the pipelines folder; nothing is written here by hand."""

from pathlib import Path

from watcher.dags import build_dags

globals().update(build_dags(near=Path(__file__)))
