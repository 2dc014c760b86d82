"""Log lines: JSON or short text, secrets masked last, handed to a writer thread so that a stuck pipe never blocks the daemon."""

from __future__ import annotations

import json
import logging
import queue
import re
import sys
import threading
from collections.abc import Callable
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
QUEUE_LINES = 10_000
MASK = "***"
ORDER = (
    *("time", "level", "event", "pipeline", "source", "kind", "batch", "dag_id", "dag_run_id", "attempt"),
    *("code", "since", "count", "next_at", "seconds", "changes", "limit"),
)

_known_secrets: dict[str, re.Pattern[str]] = {}


def hide(secret: str) -> None:
    """From now on this value is masked wherever it appears in a log line, foreign loggers and traces included."""
    if len(secret) >= 4:
        # a short password may be part of an ordinary word: only where it stands alone is it the secret
        _known_secrets[secret] = re.compile(rf"(?<![A-Za-z0-9_]){re.escape(secret)}(?![A-Za-z0-9_])")


def masked(text: str) -> str:
    """The text with every known secret replaced."""
    for pattern in _known_secrets.values():
        text = pattern.sub(MASK, text)
    return text


class LineWriter:
    """Writes lines in a thread of its own; when the reader stands still lines are dropped and counted, never waited for."""

    def __init__(self, stream: TextIO, dropped: Callable[[], None]) -> None:
        self._stream, self._dropped = stream, dropped
        self._lines: queue.Queue[str | None] = queue.Queue(QUEUE_LINES)
        self._thread = threading.Thread(target=self._write, name="log writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, line: str) -> None:
        """Hand over one line without waiting."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._dropped()

    def close(self, grace: float = 2.0) -> None:
        """Write what is left, for at most `grace` seconds."""
        try:
            self._lines.put(None, timeout=grace)
        except queue.Full:
            return
        self._thread.join(grace)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._stream.write(line + "\n")
                if self._lines.empty():
                    self._stream.flush()
            except (OSError, ValueError):  # the reader has gone: there is nobody left to tell
                self._dropped()


def start_logging(form: str, level: str, *, written: Callable[[str], None], dropped: Callable[[], None]) -> LineWriter:
    """Configure structlog and the standard library's logging onto one writer. `form` is json, text or auto."""
    text = form == "text" or (form == "auto" and sys.stdout.isatty())
    writer = LineWriter(sys.stdout, dropped)
    render = _text if text else _json

    def emit(_: WrappedLogger, name: str, event: EventDict) -> str:
        written(str(event.get("level", name)))
        return masked(render(event))

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.format_exc_info,
            emit,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: _Lines(writer),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_Foreign()], level=logging.WARNING, force=True)
    writer.start()
    return writer


class _Lines:
    """What structlog calls with the finished line."""

    def __init__(self, writer: LineWriter) -> None:
        self.debug = self.info = self.warning = self.error = writer.put


class _Foreign(logging.Handler):
    """Lines of libraries, as lines of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        level = "error" if record.levelno >= logging.ERROR else "warning"
        extra: dict[str, Any] = {"exc_info": record.exc_info} if record.exc_info else {}
        getattr(structlog.get_logger(), level)(
            "library_logged", logger=record.name, message=record.getMessage(), **extra
        )


def _json(event: EventDict) -> str:
    ordered = {key: event.pop(key) for key in ORDER if key in event}
    return json.dumps({key: value for key, value in {**ordered, **event}.items() if value is not None}, default=str)


def _text(event: EventDict) -> str:
    clock = str(event.get("time", ""))[11:19]
    said = event.get("message") or _plain(event)
    line = f"{clock} {event.get('pipeline') or '':<14} {said}"
    if exception := event.get("exception"):
        return f"{_escaped(line)}\n{exception}"
    return _escaped(line)


def _plain(event: EventDict) -> str:
    facts = (
        f"{key}={value}"
        for key, value in event.items()
        if key not in {"time", "level", "event", "pipeline", "exception"}
    )
    return " ".join([str(event.get("event")), *(fact for fact in facts if not fact.endswith("=None"))])


def _escaped(text: str) -> str:
    """A name with a newline or an escape sequence must not forge a line or drive the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
