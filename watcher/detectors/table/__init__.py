"""Detectors for the tables and queries of a database, over SQLAlchemy and drivers that work in asyncio."""

from watcher.detectors.table.compare import RowsDetector
from watcher.detectors.table.polling import PollingDetector
from watcher.detectors.table.timestamp import TimestampDetector

__all__ = ["PollingDetector", "RowsDetector", "TimestampDetector"]
