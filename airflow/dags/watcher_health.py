"""Airflow reads this file and finds the DAG `watcher_health`, paused; unpause it once WATCHER_OPS_URL names the daemon."""

from pathlib import Path

from watcher.dags import build_health

globals().update(build_health(near=Path(__file__)))
