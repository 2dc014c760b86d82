"""Watcher for Apache Airflow: the public names for people who write detectors."""

from watcher.detection import (
    Cursor,
    Detection,
    Detector,
    FileChange,
    Inventory,
    InventoryChange,
    Known,
    Operation,
    Range,
)
from watcher.errors import SourceError, WatcherError

__all__ = [
    "Cursor",
    "Detection",
    "Detector",
    "FileChange",
    "Inventory",
    "InventoryChange",
    "Known",
    "Operation",
    "Range",
    "SourceError",
    "WatcherError",
]
