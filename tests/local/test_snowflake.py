"""The local Snowflake server: up behind TLS that a client can check, and gone afterwards."""

from __future__ import annotations

import json
import socket
import ssl
from pathlib import Path

import pytest

from local.processes import StartError
from local.snowflake import make_certificates, running_snowflake


def test_up_and_gone(tmp_path: Path) -> None:
    """It answers on its port with a certificate of its own authority, and nobody listens there when it is over."""
    with running_snowflake(tmp_path) as server:
        assert server.answers()
        assert json.loads(server.connection("DB2", role="R"))["extra"] == {
            "account": "fakesnow", "database": "DB2", "host": "localhost", "port": server.port, "role": "R",
        }  # fmt: skip
        stranger = ssl.create_default_context()
        raw = socket.create_connection(("127.0.0.1", server.port), timeout=5)
        with raw, pytest.raises(ssl.SSLCertVerificationError):
            stranger.wrap_socket(raw, server_hostname="localhost")
    assert not server.answers()


def test_keys_are_private_to_the_folder(tmp_path: Path) -> None:
    """Certificates are made anew in the folder that is named."""
    made = make_certificates(tmp_path)
    assert {path.parent for path in (made.ca_file, made.certificate, made.key)} == {tmp_path}
    assert b"BEGIN CERTIFICATE" in made.certificate.read_bytes()


def test_not_installed(tmp_path: Path) -> None:
    """A missing environment is said at once, with the program that is not there."""
    with pytest.raises(StartError, match="fakesnow ended with code"), running_snowflake(tmp_path, programs=tmp_path):
        pytest.fail("it cannot run")
