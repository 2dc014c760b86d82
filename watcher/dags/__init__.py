"""Airflow's side of a pipeline: the only package that imports `airflow`, and nothing of the daemon."""

from watcher.dags.loader import build_dags, raise_problems

__all__ = ["build_dags", "raise_problems"]
