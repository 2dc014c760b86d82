"""A real Airflow on 127.0.0.1 from its own environment: API server, scheduler, DAG processor, SQLite, known users."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sqlite3
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.processes import Launch, Process, StartError, free_port, start

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("api-server", "scheduler", "dag-processor")
_ROLES = {"admin": "admin", "watcher": "user"}
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class AirflowLaunch:
    """What Airflow is started with. A port of None is a free one; `connections` are ids and URLs; `env` wins over all.

    `passwords` maps the users `admin` (all rights) and `watcher` (role `user`) to their passwords.
    """

    pipelines: Path | None = None
    environment: str | None = None
    connections: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    dags_folder: Path = ROOT / "airflow" / "dags"
    passwords: Mapping[str, str] = field(default_factory=lambda: {"admin": "admin", "watcher": "let-me-in"})
    parallelism: int = 4
    refresh_seconds: int = 2
    env: Mapping[str, str] = field(default_factory=dict)
    programs: Path = ROOT / ".venv-airflow" / "bin"


class AirflowServer:
    """One Airflow on one home folder; all of it, or its API server alone, can be stopped and started again.

    It keeps its port, users and data. `username` and `password` are those of the daemon's user.
    """

    def __init__(self, home: Path, port: int, launch: AirflowLaunch) -> None:
        self.home = home
        self.port = port
        self.launch = launch
        self.username = "watcher"
        self._running: dict[str, Process] = {}

    @property
    def url(self) -> str:
        """Where the UI and the REST API are."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def password(self) -> str:
        """The password of the daemon's user."""
        return self.launch.passwords[self.username]

    @property
    def database(self) -> Path:
        """The metadata database, an SQLite file."""
        return self.home / "airflow.db"

    def start(self, seconds: float = 180) -> None:
        """Starts what does not run, and waits until Airflow is healthy. Raises StartError with the log's end."""
        _prepare(self.home, self.port, self.launch)
        for part in PARTS:
            self._start(part)
        self._running["api-server"].wait_until(lambda: self._answers() and self.healthy(), seconds, every=0.25)

    def stop(self) -> None:
        """Stops all of it; a task that runs is ended too."""
        for part in ("dag-processor", "scheduler"):  # side by side; what they have in hand still needs the API server
            if part in self._running:
                self._running[part].ask_to_stop()
        for part in reversed(PARTS):
            self._stop(part)

    def start_api(self, seconds: float = 90) -> None:
        """Starts the API server alone and waits until it answers."""
        self._start("api-server")
        self._running["api-server"].wait_until(self._answers, seconds, every=0.1)

    def stop_api(self, *, kill: bool = False) -> None:
        """Stops the API server alone; with `kill` as kill -9 does."""
        self._stop("api-server", kill=kill)

    def healthy(self) -> bool:
        """Whether database, scheduler and DAG processor are healthy. Raises StartError when a part died."""
        for part, process in self._running.items():
            if not process.alive:
                raise StartError(f"Airflow's {part} ended with code {process.code}. Its last lines:\n{process.tail()}")
        try:
            health = self.get("/api/v2/monitor/health", token=None)
        except OSError:
            return False
        parts = ("metadatabase", "scheduler", "dag_processor")
        return all((health.get(part) or {}).get("status") == "healthy" for part in parts)

    def wait_for_dag(self, dag_id: str, seconds: float = 90) -> None:
        """Waits until a run of the DAG can be made. Raises StartError with Airflow's import errors and log."""
        try:
            self._running["dag-processor"].wait_until(lambda: self._usable(dag_id), seconds, every=0.25)
        except StartError as error:
            broken = self.get("/api/v2/importErrors").get("import_errors", [])
            raise StartError(f"DAG {dag_id} is not there. Import errors: {json.dumps(broken)}\n{error}") from error

    def get(self, path: str, *, token: str | None = "admin") -> Any:
        """The JSON answer to a GET as user `token`, or as nobody. Raises OSError (HTTPError has the status)."""
        return self.request("GET", path, token=token)

    def request(self, method: str, path: str, body: Any = None, *, token: str | None = "admin") -> Any:
        """The same for any method, with a JSON body; None when the answer is empty."""
        headers = {"Content-Type": "application/json"}
        if token is not None:
            login = {"username": token, "password": self.launch.passwords[token]}
            answer = self.request("POST", "/auth/token", login, token=None)
            headers["Authorization"] = f"Bearer {answer['access_token']}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with _OPENER.open(request, timeout=20) as response:
            content = response.read()
        return json.loads(content) if content else None

    def tail(self, lines: int = 30) -> str:
        """The last lines of each part's log."""
        return "\n".join(f"--- {part}\n{process.tail(lines)}" for part, process in self._running.items())

    def _start(self, part: str) -> None:
        if part in self._running and self._running[part].alive:
            return
        arguments = {
            "api-server": ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"],
            "scheduler": ["--skip-serve-logs"],
            "dag-processor": [],
        }
        self._running[part] = start(
            Launch(
                name=f"Airflow's {part}",
                command=[str(self.launch.programs / "airflow"), part, *arguments[part]],
                env=environment(self.home, self.port, self.launch),
                cwd=self.home,
                log=self.home / f"{part}.log",
                grace=10 if part == "scheduler" else 5,
            )
        )

    def _stop(self, part: str, *, kill: bool = False) -> None:
        process = self._running.pop(part, None)
        if process is not None:
            process.kill() if kill else process.stop()

    def _answers(self) -> bool:
        """Whether the UI's API and that of the tasks answer; the latter builds itself at its first request, for seconds."""
        try:
            self.get("/api/v2/version", token=None)
            self.get("/execution/health", token=None)
        except OSError:
            return False
        return True

    def _usable(self, dag_id: str) -> bool:
        try:
            dag = self.get(f"/api/v2/dags/{dag_id}")
        except OSError:
            return False
        return not (dag["is_stale"] or dag["has_import_errors"])


@contextlib.contextmanager
def running_airflow(home: Path, launch: AirflowLaunch | None = None) -> Iterator[AirflowServer]:
    """A healthy Airflow whose state lives in `home` (made when it is not there). Raises StartError."""
    launch = launch or AirflowLaunch()
    server = AirflowServer(home.absolute(), launch.port or free_port(), launch)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _prepare(home: Path, port: int, launch: AirflowLaunch) -> None:
    """Makes the home folder ready: passwords, secret, database. Quick when it has been done before."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    (home / "passwords.json").write_text(json.dumps(dict(launch.passwords)) + "\n", encoding="utf-8")
    secret = home / "jwt_secret"
    if not secret.exists():
        secret.write_text(secrets.token_hex(32), encoding="utf-8")
        secret.chmod(0o600)
    done = home / "migrated"
    if done.exists():
        return
    migration = Launch(
        name="airflow db migrate",
        command=[str(launch.programs / "airflow"), "db", "migrate"],
        env=environment(home, port, launch),
        cwd=home,
        log=home / "migrate.log",
    )
    process = start(migration)
    try:
        process.wait_until(lambda: process.code == 0, seconds=180)
    finally:
        process.stop()
    # Readers and the writer no longer stop each other; the mode stays in the file.
    with contextlib.closing(sqlite3.connect(home / "airflow.db")) as database:
        database.execute("PRAGMA journal_mode=WAL")
    done.touch()


def environment(home: Path, port: int, launch: AirflowLaunch) -> dict[str, str]:
    """Everything Airflow is told. Nothing of the person's own Airflow, Python or virtual environment gets in."""
    foreign = ("AIRFLOW", "PYTHON", "VIRTUAL_ENV", "WATCHER_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    env["PATH"] = f"{launch.programs}{os.pathsep}{env.get('PATH', os.defpath)}"
    env |= {f"AIRFLOW__{name}": value for name, value in _settings(home, port, launch).items()}
    env |= {f"AIRFLOW_CONN_{name.upper()}": url for name, url in launch.connections.items()}
    env |= {
        "AIRFLOW_HOME": str(home),
        "DO_NOT_TRACK": "1",
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "PROVIDERS__ENABLE_AIRFLOW_SECRETS": "false",
    }
    env["NO_PROXY"] = env["no_proxy"] = ",".join(filter(None, ["127.0.0.1,localhost", env.get("NO_PROXY")]))
    if launch.pipelines is not None:
        env["WATCHER__PIPELINES"] = str(launch.pipelines.absolute())
    if launch.environment is not None:
        env["WATCHER__ENVIRONMENT"] = launch.environment
    return env | dict(launch.env)


def _settings(home: Path, port: int, launch: AirflowLaunch) -> dict[str, str]:
    """Airflow's settings that differ from its defaults, without the prefix."""
    url = f"http://127.0.0.1:{port}"
    refresh = str(launch.refresh_seconds)
    return {
        "API__BASE_URL": url,
        "API_AUTH__JWT_SECRET": (home / "jwt_secret").read_text(encoding="utf-8"),
        "CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__DAGS_FOLDER": str(launch.dags_folder.absolute()),
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__PARALLELISM": str(launch.parallelism),
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{_ROLES[name]}" for name in launch.passwords),
        "DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": refresh,
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": refresh,
        "DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "DAG_PROCESSOR__REFRESH_INTERVAL": refresh,
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}?timeout=30",
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }
