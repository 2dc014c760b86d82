"""One `dbt run` by way of Cosmos, in folders of its own: the only module that imports Cosmos' operators, itself imported by a task."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowException
from cosmos.config import ProfileConfig
from cosmos.constants import InvocationMode
from cosmos.operators.local import DbtRunLocalOperator

from watcher.dags.operators.dbt_profile import NAME, Profile
from watcher.dags.operators.dbt_project import Project

if TYPE_CHECKING:
    from airflow.sdk import Context

_OWN_FOLDERS = ("--target-path", "target", "--log-path", "logs")
_QUIET = ("--no-send-anonymous-usage-stats", "--no-use-colors", "--log-level-file", "none")
_BAD = frozenset({"error", "fail", "runtime error", "partial success"})
_GONE = re.compile(r"^\s*compiled code at .*$\n?", re.MULTILINE)
_CLOCK = re.compile(r"(?:\x1b\[[0-9;]*m)*\d\d:\d\d:\d\d\s+(?:\[?(?:ERROR|WARNING|INFO)\]?:?\s+)?|\x1b\[[0-9;]*m")
_TAIL = 20  # lines of output that are told when dbt says nothing better


@dataclass(frozen=True, slots=True)
class Command:
    """What is run: a selection, the variables given to dbt, and whether incremental models are built anew."""

    task_id: str
    select: str
    variables: Mapping[str, Any] = field(default_factory=dict, repr=False)
    full_refresh: bool = False


@dataclass(frozen=True, slots=True)
class ModelResult:
    """How one model ended. `rows` only where the database tells how many it wrote; `seconds` of work."""

    name: str
    status: str
    rows: int | None
    seconds: float
    message: str

    @property
    def failed(self) -> bool:
        """Whether dbt counts it as an error."""
        return self.status in _BAD


@dataclass(frozen=True, slots=True)
class Ended:
    """A run of dbt: its models, `failure` in dbt's own words or None, and every model that the project has."""

    models: tuple[ModelResult, ...]
    failure: str | None
    known: tuple[str, ...]


class _Run(DbtRunLocalOperator):
    """Cosmos' operator without what outlives a task: no caches, no lineage in the environment, no exception of its own."""

    results: tuple[ModelResult, ...] = ()
    known: tuple[str, ...] = ()

    def _cache_package_lockfile(self, tmp_project_dir: Path) -> None:
        """Nothing is installed, so there is nothing to keep."""

    def calculate_openlineage_events_completes(self, *_: Any, **__: Any) -> bool:
        """Would copy the secrets of dbt's environment into that of the process."""
        return False

    def handle_exception_dbt_runner(self, result: Any) -> None:
        """The caller tells the failure."""

    def handle_exception_subprocess(self, result: Any) -> None:
        """The caller tells the failure."""

    def close_pipe(self) -> None:
        """Cosmos leaves the output of a separate dbt open."""
        process = self.subprocess_hook.sub_process
        if process is not None and process.stdout is not None:
            process.stdout.close()

    def read(self, folder: str, **_: Any) -> None:
        """Called by Cosmos while its working folder is still there."""
        self.results = tuple(_results(Path(folder) / "target" / "run_results.json"))
        self.known = tuple(_names(Path(folder) / "target" / "manifest.json"))


class DbtRun:
    """One `dbt run` of a project. It writes nothing but its tables: the working folders go with it."""

    def __init__(self, project: Project, profile: Profile, log: Any) -> None:
        self._project = project
        self._profile = profile
        self._log = log
        self._running: _Run | None = None

    def run(self, command: Command, context: Context) -> Ended:
        """Run to the end, holding the database as long as its profile says.

        Raises what stops a task (its timeout), and AirflowException when dbt is broken off; a failure of dbt is an answer.
        """
        logging.getLogger("cosmos").setLevel(logging.WARNING)  # it logs whole command lines, variables included
        with TemporaryDirectory(prefix="watcher-dbt-") as folder, self._profile.opened():
            path = Path(folder) / "profiles.yml"
            path.write_text(self._profile.text, "utf-8")
            operator = self._running = self._operator(command, path)
            try:
                result = operator.build_and_run_cmd(context=context, cmd_flags=operator.add_cmd_flags())
            except Exception as error:
                # a timeout in the middle of a query comes out as what dbt's adapter trips over while it cleans up
                raise AirflowException(f"{command.task_id}: dbt was broken off: {_plain(str(error))}") from error
            finally:
                self._running = None
                operator.close_pipe()
        return Ended(operator.results, _failure(operator.results, result), operator.known)

    def stop(self) -> None:
        """Stop a separate dbt and its queries; one that runs in this process ends with it."""
        if self._running is not None:
            self._running.on_kill()

    def _operator(self, command: Command, profiles: Path) -> _Run:
        separate = self._project.executable
        operator = _Run(
            task_id=command.task_id,
            project_dir=str(self._project.folder),
            profile_config=ProfileConfig(NAME, NAME, profiles_yml_filepath=profiles),
            invocation_mode=InvocationMode.SUBPROCESS if separate else InvocationMode.DBT_RUNNER,
            dbt_executable_path=separate or "dbt",
            select=command.select,
            vars=dict(command.variables) or None,
            full_refresh=command.full_refresh,
            dbt_cmd_flags=[*_OWN_FOLDERS, *_QUIET],
            env={**self._profile.secrets, "DO_NOT_TRACK": "1"},
            append_env=True,
            install_deps=False,
            copy_dbt_packages=False,
            emit_datasets=False,
            should_store_compiled_sql=False,
            manifest_filepath=str(self._project.manifest or ""),
            cache_dir=profiles.parent / "cache",
            skip_exit_code=None,
        )
        operator.callback = operator.read
        operator._process_log_line_callable = lambda line, _: self._log.info("%s", _CLOCK.sub("", line))
        return operator


def _results(path: Path) -> Iterator[ModelResult]:
    for entry in _loaded(path).get("results", []):
        yield ModelResult(
            name=str(entry["unique_id"]).split(".", 2)[-1],
            status=str(entry["status"]),
            rows=_rows(entry.get("adapter_response") or {}),
            seconds=round(float(entry.get("execution_time") or 0), 3),
            message=str(entry.get("message") or ""),
        )


def _rows(response: Mapping[str, Any]) -> int | None:
    rows = response.get("rows_affected")
    # Snowflake's SUCCESS counts the lines of its answer: 1 for a table made of a million rows
    counted = isinstance(rows, int) and rows >= 0 and response.get("code") != "SUCCESS"
    return int(rows or 0) if counted else None


def _names(path: Path) -> Iterator[str]:
    nodes = _loaded(path).get("nodes", {})
    yield from sorted(str(node["name"]) for node in nodes.values() if node.get("resource_type") == "model")


def _loaded(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_bytes())) if path.is_file() else {}


def _failure(results: Sequence[ModelResult], result: Any) -> str | None:
    """What went wrong: the words of the models that failed, else of dbt itself."""
    told = [_plain(model.message) for model in results if model.failed]
    if told:
        return "\n".join(told)
    if hasattr(result, "exit_code"):
        return _last_words(result.full_output) if result.exit_code else None
    stopped = result.exception
    if stopped is not None and not isinstance(stopped, Exception):
        raise stopped  # a timeout of the task, which dbt has caught like an error of its own
    return None if result.success else _plain(str(stopped)) if stopped else "dbt failed without a message"


def _last_words(lines: Sequence[str]) -> str:
    told = [line for line in (_CLOCK.sub("", line).rstrip() for line in lines) if line]
    start = next((place for place, line in enumerate(told) if line.startswith("Encountered an error")), -_TAIL)
    return _plain("\n".join(told[start:][:_TAIL])) or "dbt failed without a message"


def _plain(message: str) -> str:
    return _GONE.sub("", message).strip()
