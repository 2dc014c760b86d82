"""The whole error tree: the class says what the caller does next, the code says what happened and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Who = Literal["config", "source", "airflow", "store", "bug"]
"""Who acts on an error: the author of a file, the owner of a source, of Airflow, of the store, or us."""


@dataclass(frozen=True, slots=True)
class Code:
    """One entry of the closed list of error codes: who acts, whether we try again by ourselves, and the fix in words."""

    who: Who
    retried: bool
    hint: str


CODES: dict[str, Code] = {
    # pipeline files and settings
    "bad-yaml": Code("config", False, "The file is not valid YAML. Mend the place under the caret."),
    "unreadable-file": Code("config", False, "The file cannot be read. Look at its rights and its encoding (UTF-8)."),
    "unknown-key": Code("config", False, "No such key. Take the one suggested, or look it up in docs/pipeline.md."),
    "missing-key": Code("config", False, "A required key is not there. Add it."),
    "duplicate-key": Code("config", False, "The key stands twice in one mapping. Delete one of the two."),
    "bad-value": Code("config", False, "The value has the wrong type or is out of range. The message says what fits."),
    "no-unit": Code("config", False, "A bare number where a unit belongs. Write 30s, 10m, 6h, 7d or 64KiB, 50MB, 1GB."),
    "unknown-task": Code("config", False, "`dependencies` names a task or source that this pipeline does not have."),
    "unknown-source": Code(
        "config", False, "`trigger` or `environments` names a source that this pipeline does not have."
    ),
    "cycle": Code("config", False, "The tasks wait for each other. Break the cycle at one of the places shown."),
    "unreachable-task": Code(
        "config",
        False,
        "However its upstream tasks end, the task never starts. Change its trigger_rule, or what it waits for.",
    ),
    "duplicate-name": Code("config", False, "Two files or two sources have one name. Rename one of them."),
    "undefined-variable": Code(
        "config", False, "The environment variable is not set. Set it, or write ${NAME:-default}."
    ),
    "literal-secret": Code("config", False, "A secret stands in the file. Write ${VAR} or {file: /run/secrets/name}."),
    "unknown-environment": Code("config", False, "No file has this environment. Take one that the message lists."),
    "unknown-connection": Code("config", False, "Nobody defines this connection. The message says where we looked."),
    "not-available": Code("config", False, "The key is valid but this version cannot do it yet. Take it out for now."),
    "bad-settings": Code("config", False, "The settings are wrong. Mend the key that the message names."),
    # sources
    "source-unreachable": Code(
        "source",
        True,
        "Refused, unknown name, TLS or a timeout. The cursor stays; nothing is lost while the source keeps its history.",
    ),
    "source-refused": Code("source", True, "The source refuses user, password or TLS name. Look at the connection."),
    "source-forbidden": Code("source", True, "A right is missing. Grant what the message names."),
    "source-schema": Code("source", True, "A table, column or folder is missing. Mend the name, or make it again."),
    "source-slow": Code("source", True, "The look passed its deadline. Put an index on `column`, or raise `timeout`."),
    "source-answer": Code("source", True, "The source answered something we cannot use. The message says what."),
    "source-vanished": Code("source", True, "Too much is gone at once. Is the volume mounted?"),
    "detector-failed": Code(
        "source", True, "The detector raised an error of its own. The message says which and where."
    ),
    # Airflow
    "airflow-unreachable": Code("airflow", True, "Airflow does not answer. Changes are kept and leave when it does."),
    "airflow-no-answer": Code(
        "airflow", True, "Sent, but the answer got lost. We ask for the same run id before anything is sent again."
    ),
    "airflow-token": Code(
        "airflow",
        True,
        "Airflow refuses our token. Changed password or jwt_secret? One secret on every API server? Clocks right?",
    ),
    "airflow-forbidden": Code(
        "airflow", True, "The Airflow user may not create runs of this DAG. Grant it: DAG runs, create."
    ),
    "airflow-address": Code(
        "airflow", True, "This address is not an Airflow 3 API: a redirect, HTML or an unknown route."
    ),
    "airflow-limited": Code("airflow", True, "Airflow, or a proxy before it, asks us to wait. We do."),
    "dag-unknown": Code(
        "airflow",
        True,
        "Airflow does not know the DAG, or its file is gone. Is the loader in its dags folder? Does the DAG processor run?",
    ),
    "dag-broken": Code("airflow", True, "The DAG has an import error. Repair it; the changes leave by themselves."),
    "dag-paused": Code("airflow", True, "The DAG is paused in Airflow. Its changes wait and leave as one run."),
    "no-room": Code("airflow", True, "As many runs are open as are allowed. The changes wait."),
    "foreign-run": Code(
        "airflow",
        False,
        "A run with our id exists and is not ours. Do two installations drive this DAG? Delete that run and retry, or discard.",
    ),
    "params-refused": Code(
        "airflow", False, "The DAG's params refuse the conf. Change them or `trigger.conf`, then retry the batch."
    ),
    "run-id-refused": Code("airflow", False, "[scheduler] allowed_run_id_pattern must allow letters, digits and _."),
    "request-refused": Code(
        "airflow", False, "Airflow refuses the request itself. Probably a version that we do not know."
    ),
    "batch-too-old": Code("airflow", False, "Not delivered for 7 days. Retry or discard it."),
    "pipeline-not-loaded": Code(
        "config",
        True,
        "The batch waits for its pipeline file, which is invalid, disabled or gone. Repair it and reload.",
    ),
    "run-vanished": Code(
        "airflow", False, "The run was deleted in Airflow before we saw its end; it is never sent again."
    ),
    # store
    "store-busy": Code("store", True, "The store is locked by another. Looks and sends wait."),
    "store-unreachable": Code("store", True, "The store does not answer. Looks and sends wait."),
    "store-full": Code(
        "store", True, "The disk of the store is full. Looks are stopped, nothing is lost. Free some space."
    ),
    "store-damaged": Code("store", False, "The store fails its integrity check. Put the newest backup in its place."),
    "store-newer": Code("store", False, "The store was written by a newer program. Install that version."),
    "store-older": Code("store", False, "The store needs `watcher store migrate` first."),
    "store-taken": Code("store", False, "Another daemon has this store. Stop that one first."),
    "port-taken": Code("config", False, "Another program has this port. Stop it, or set another address."),
    # bug
    "internal": Code("bug", False, "Our own bug. Please report it with the trace in the log."),
}


class WatcherError(Exception):
    """Base of all our errors. `code` is a key of CODES; `str()` is the message for people, without secrets.

    >>> WatcherError("boom", code="internal").hint
    'Our own bug. Please report it with the trace in the log.'
    """

    default_code = "internal"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code or self.default_code

    @property
    def hint(self) -> str:
        """The fix in words."""
        return CODES[self.code].hint


class ConfigError(WatcherError):
    """Files or settings are wrong. Raised while loading; the command prints it and exits 78; a running daemon keeps its old set."""

    default_code = "bad-settings"


class CannotStartError(WatcherError):
    """Something the daemon needs is taken, damaged or away at start. The command prints it and exits 3."""

    default_code = "store-unreachable"


class SourceError(WatcherError):
    """A look failed for a reason outside of us. Raised by detectors; the step boundary logs it on the edge and backs off.

    `retry_after` (seconds) is set where the source itself names a time.
    """

    default_code = "source-unreachable"

    def __init__(self, message: str, *, code: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class StoreError(WatcherError):
    """The store could not take or give something. Raised at the store's one door; the step is repeated later."""

    default_code = "store-unreachable"


class AirflowError(WatcherError):
    """A request to Airflow got no usable answer. Raised by the reading verbs of the Airflow door; the caller looks again later."""

    default_code = "airflow-unreachable"
