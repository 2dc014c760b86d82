"""Every error of a database driver as a SourceError: the code says who mends it, the message holds no secret and no SQL."""

from __future__ import annotations

import sqlite3
import ssl

import asyncpg
import sqlalchemy as sa

from watcher.errors import SourceError

FOREIGN: tuple[type[Exception], ...] = (
    sa.exc.SQLAlchemyError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    sqlite3.Error,
    ImportError,  # a driver that is not installed
    OSError,  # a refused connection, an unknown name, TLS
    OverflowError,  # a date before Christ
)
"""What a database driver may raise at the door."""

_BY_STATE = {
    "28": "source-refused",
    "3D000": "source-refused",
    "42501": "source-forbidden",
    "25006": "source-forbidden",
    "42P01": "source-schema",
    "42703": "source-schema",
    "42883": "source-schema",
    "3F000": "source-schema",
    "57014": "source-slow",
    "55P03": "source-slow",
    "40": "source-slow",
    "08": "source-unreachable",
    "57P": "source-unreachable",
    "53": "source-unreachable",
}
"""SQLSTATE, or its first characters, to the code; the longest match counts."""

_BY_WORDS = (
    ("unable to open database", "source-unreachable"),
    ("disk i/o error", "source-unreachable"),
    ("no such table", "source-schema"),
    ("no such column", "source-schema"),
    ("readonly database", "source-forbidden"),
    ("not authorized", "source-forbidden"),
    ("database is locked", "source-slow"),
    ("interrupted", "source-slow"),
    ("connection is closed", "source-unreachable"),
    ("connection was closed", "source-unreachable"),
    ("connection has been released", "source-unreachable"),
    ("server closed", "source-unreachable"),
    ("lost connection", "source-unreachable"),
    ("can't connect", "source-unreachable"),
    ("access denied", "source-refused"),
)


def translate(error: Exception, place: str) -> SourceError:
    """The SourceError for a foreign error; `place` names the source without credentials."""
    if isinstance(error, sa.exc.TimeoutError):
        return SourceError(f"{place}: both connections are busy with other looks", code="source-slow")
    if isinstance(error, sa.exc.NoSuchModuleError | ImportError):
        return SourceError(f"{place}: this kind of database needs a driver that is not installed", code="not-available")
    origin: BaseException = error
    if isinstance(error, sa.exc.DBAPIError) and error.orig is not None:
        origin = error.orig
    return SourceError(f"{place}: {_words(origin)}", code=_code(origin))


def _code(origin: BaseException) -> str:
    state = getattr(origin, "sqlstate", None)
    if isinstance(state, str):
        for length in (5, 3, 2):
            if (code := _BY_STATE.get(state[:length])) is not None:
                return code
        return "source-answer"
    if isinstance(origin, ssl.SSLCertVerificationError):
        return "source-refused"
    if isinstance(origin, OSError):
        return "source-unreachable"
    words = str(origin).lower()
    return next((code for part, code in _BY_WORDS if part in words), "source-answer")


def _words(origin: BaseException) -> str:
    # SQLAlchemy puts the driver's class before the message: "<class '...'>: message"
    text = str(origin).split(">: ", 1)[-1].strip() or type(origin).__name__
    return text.splitlines()[0][:300]
