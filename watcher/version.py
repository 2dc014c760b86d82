"""The version of this program, as its package says."""

from importlib.metadata import version

VERSION = version("watcher-for-airflow")
