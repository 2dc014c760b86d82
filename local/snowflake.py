"""Snowflake's wire protocol on this machine: fakesnow behind TLS, as an unmodified Snowflake hook wants it; for tests."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from local.processes import Launch, Process, StartError, free_port, start

ROOT = Path(__file__).resolve().parent.parent
_LOGIN = {"conn_type": "snowflake", "login": "watcher", "password": "let-me-in"}
_DAYS = "30"


@dataclass(frozen=True, slots=True)
class SnowflakeServer:
    """A running server on https://localhost:`port`; clients trust it through `ca_file`. Its data dies with it."""

    port: int
    ca_file: Path
    process: Process

    def connection(self, database: str = "DB1", schema: str = "PUBLIC", **extra: str) -> str:
        """The value of an AIRFLOW_CONN_ variable for a hook; database and schema are made at the first login."""
        place = {"account": "fakesnow", "database": database, "host": "localhost", "port": self.port}
        return json.dumps({**_LOGIN, "schema": schema, "extra": {**place, **extra}})

    def environment(self) -> Mapping[str, str]:
        """What a process needs so that it trusts the server, with any version of the connector."""
        return {"REQUESTS_CA_BUNDLE": str(self.ca_file), "SSL_CERT_FILE": str(self.ca_file)}

    def answers(self) -> bool:
        """Whether it speaks TLS with our certificate."""
        context = ssl.create_default_context(cafile=self.ca_file)
        try:
            with (
                socket.create_connection(("127.0.0.1", self.port), timeout=2) as raw,
                context.wrap_socket(raw, server_hostname="localhost"),
            ):
                return True
        except OSError:
            return False


@contextlib.contextmanager
def running_snowflake(
    folder: Path, *, port: int | None = None, programs: Path = ROOT / ".venv-fakesnow" / "bin"
) -> Iterator[SnowflakeServer]:
    """A running server whose certificates and log are in `folder`. Raises StartError, with the end of its log."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = port or free_port()
    certificates = make_certificates(folder)
    command = [str(programs / "uvicorn"), "fakesnow.server:app", "--host", "127.0.0.1", "--port", str(chosen)]
    tls = ["--ssl-keyfile", str(certificates.key), "--ssl-certfile", str(certificates.certificate)]
    log = folder / "fakesnow.log"
    process = start(Launch(name="fakesnow", command=[*command, *tls], env=_environment(), cwd=folder, log=log))
    server = SnowflakeServer(chosen, certificates.ca_file, process)
    try:
        process.wait_until(server.answers, seconds=60)
        yield server
    finally:
        process.stop()


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files in PEM: the authority that clients trust, the server's certificate for `localhost`, and its key."""

    ca_file: Path
    certificate: Path
    key: Path


def make_certificates(folder: Path) -> Certificates:
    """New certificates by the openssl program. Raises StartError when it is missing or fails."""
    made = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    ca_key, request, names = folder / "ca.key", folder / "server.csr", folder / "server.ext"
    names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n", "utf-8")
    new_key = ["-newkey", "rsa:2048", "-nodes", "-batch"]
    _openssl("req", "-x509", *new_key, "-days", _DAYS, "-subj", "/CN=test-ca", "-keyout", ca_key, "-out", made.ca_file)
    _openssl("req", *new_key, "-subj", "/CN=localhost", "-keyout", made.key, "-out", request)
    signed_by: list[str | Path] = [
        "-CA",
        made.ca_file,
        "-CAkey",
        ca_key,
        "-CAcreateserial",
        "-days",
        _DAYS,
        "-extfile",
        names,
    ]
    _openssl("x509", "-req", "-in", request, *signed_by, "-out", made.certificate)
    return made


def _openssl(*arguments: str | Path) -> None:
    program = shutil.which("openssl")
    if program is None:
        raise StartError("The program openssl is not installed.")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StartError(f"openssl {arguments[0]} failed: {done.stderr.strip()[-500:]}")


def _environment() -> dict[str, str]:
    """Without what would send the server's own requests, or its imports, elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SNOWFLAKE_"))}
