"""Airflow reads this file and finds the DAG `example_reads_batch`, paused; its code to copy from is `watcher.dags.example`."""

from pathlib import Path

from watcher.dags import build_example

globals().update(build_example(near=Path(__file__)))
