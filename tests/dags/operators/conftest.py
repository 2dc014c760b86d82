"""Real database servers for the operators' tests, started once and only when a test asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.processes import Launch, StartError, start
from local.snowflake import SnowflakeServer, running_snowflake

ROOT = Path(__file__).resolve().parents[3]
# the embedded PostgreSQL belongs to the other environment
_POSTGRES = """
import sys, threading
from pathlib import Path
from local.postgres import running_postgres
with running_postgres(Path(sys.argv[1])) as server:
    print(server.url(), flush=True)
    threading.Event().wait()
"""


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an empty database on a real PostgreSQL."""
    folder = tmp_path_factory.mktemp("postgres")
    folder.chmod(0o755)  # the server runs as another user when we are root
    command = [str(ROOT / ".venv" / "bin" / "python"), "-c", _POSTGRES, str(folder)]
    process = start(Launch(name="PostgreSQL", command=command, env={"PATH": "/usr/bin:/bin"}, cwd=ROOT))
    try:
        url = process.output.readline().strip()
        if not url.startswith("postgresql://"):
            raise StartError(url + process.output.read())
        yield url
    finally:
        process.stop()
        process.output.close()


@pytest.fixture(scope="session")
def snowflake_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SnowflakeServer]:
    """A real server of Snowflake's protocol behind TLS."""
    with running_snowflake(tmp_path_factory.mktemp("snowflake")) as server:
        yield server


@pytest.fixture
def snowflake(snowflake_server: SnowflakeServer, monkeypatch: pytest.MonkeyPatch) -> SnowflakeServer:
    """The same behind the Airflow connection `snowflake_default`, trusted by this test."""
    monkeypatch.setenv("AIRFLOW_CONN_SNOWFLAKE_DEFAULT", snowflake_server.connection())
    for name, value in snowflake_server.environment().items():
        monkeypatch.setenv(name, value)
    return snowflake_server
