"""Airflow's side of a pipeline: the only package that imports `airflow`, and nothing of the daemon."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from watcher.dags.changes import batch, detected_changes
    from watcher.dags.example import build_example
    from watcher.dags.health import build_health
    from watcher.dags.loader import build_dags, raise_problems

__all__ = ["batch", "build_dags", "build_example", "build_health", "detected_changes", "raise_problems"]

_HOMES = {
    "batch": "changes",
    "build_dags": "loader",
    "build_example": "example",
    "build_health": "health",
    "detected_changes": "changes",
    "raise_problems": "loader",
}


def __getattr__(name: str) -> Any:
    """Public names are imported when they are asked for: our plugin is loaded by every task of every DAG."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
