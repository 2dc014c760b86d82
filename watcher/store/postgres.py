"""A store in a PostgreSQL database: for several replicas, or where there is a server anyway."""

from __future__ import annotations

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

_CONNECT_SECONDS = 5
_STATEMENT_SECONDS = 60
_SETTINGS = {
    "application_name": "watcher",
    "timezone": "UTC",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
}


def engine(url: URL) -> AsyncEngine:
    """An engine of at most ten connections, each with its own deadlines on both sides."""
    return create_async_engine(
        _with_driver(url),
        connect_args={
            "timeout": _CONNECT_SECONDS,
            "command_timeout": _STATEMENT_SECONDS,
            "server_settings": _SETTINGS,
        },
        pool_size=5,
        max_overflow=5,
        pool_timeout=10,
        pool_recycle=1800,
        hide_parameters=True,
    )


def reading(engine: AsyncEngine) -> AsyncEngine:
    """The same connections for transactions that see one state of the store and cannot write."""
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def _with_driver(url: URL) -> URL:
    """The address for asyncpg, which says `ssl` where everybody else says `sslmode`."""
    query = {("ssl" if name == "sslmode" else name): value for name, value in url.query.items()}
    return url.set(drivername="postgresql+asyncpg", query=query)
