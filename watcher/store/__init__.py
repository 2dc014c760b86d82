"""The store: every hand-over between the parts of the daemon is a committed row in here."""

from watcher.store.access import ReadStore, Store
from watcher.store.opening import open_store, open_store_readonly, schema_of, sqlite_path

__all__ = ["ReadStore", "Store", "open_store", "open_store_readonly", "schema_of", "sqlite_path"]
