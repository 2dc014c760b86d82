"""The ops listener: /livez, /readyz and /metrics, carrying configured ids only."""

from watcher.web.ops import Health, serve_ops

__all__ = ["Health", "serve_ops"]
