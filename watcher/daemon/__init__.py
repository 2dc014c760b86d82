"""The composition root: everything opens in order, the services run, and all of it stops in reverse within the grace."""

from watcher.daemon.main import DaemonOptions, airflow_options, run

__all__ = ["DaemonOptions", "airflow_options", "run"]
