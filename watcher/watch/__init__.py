"""Detect, record, fire: from a source that changed to a batch that is ready, each hand-over a committed row."""

from watcher.watch.fire import Fire
from watcher.watch.look import Look, LookOptions

__all__ = ["Fire", "Look", "LookOptions"]
