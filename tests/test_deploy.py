"""The image and the Compose file are well formed, harden the daemon, and say the same as `make run`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from local import airflow, run

ROOT = Path(__file__).parent.parent
PROGRAMS = Path(sys.executable).parent


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe").load((ROOT / "docker-compose.yaml").read_text(encoding="utf-8"))
    return loaded


def test_the_dockerfile_is_clean() -> None:
    """hadolint finds nothing."""
    done = subprocess.run([PROGRAMS / "hadolint", ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0)


def test_the_compose_file_fits_its_schema() -> None:
    """The Compose specification's own schema accepts the file."""
    command = [PROGRAMS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", ROOT / "docker-compose.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_daemon_runs_with_the_least_rights() -> None:
    """A fixed user that is not root, a read-only root, no capabilities, no new privileges, its own program first."""
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    last = dockerfile[dockerfile.rindex("\nFROM ") :]
    assert "USER 10001:10001" in last
    assert 'ENTRYPOINT ["/app/bin/watcher"]\nCMD ["run"]' in last
    assert "RUN" not in re.findall(r"^[A-Z]+", last, re.M)
    watcher = compose()["services"]["watcher"]
    assert watcher["read_only"] is True
    assert watcher["cap_drop"] == ["ALL"]
    assert watcher["security_opt"] == ["no-new-privileges:true"]


def test_ports_are_open_on_this_machine_alone_and_those_of_make_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose publishes on 127.0.0.1 the ports that `make run` takes, under the same variables."""
    for name in ("AIRFLOW_PORT", "POSTGRES_PORT", "OPS_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "argv", ["run"])
    options = run.parsed()
    published = [port for service in compose()["services"].values() for port in service["ports"]]
    assert sorted(published) == sorted(
        [
            f"127.0.0.1:${{AIRFLOW_PORT:-{options.airflow_port}}}:8080",
            f"127.0.0.1:${{POSTGRES_PORT:-{options.postgres_port}}}:5432",
            f"127.0.0.1:${{OPS_PORT:-{options.ops_port}}}:8781",
        ]
    )


def test_airflow_is_told_the_same_as_by_make_run(tmp_path: Path) -> None:
    """Every setting of Airflow's that is not a place or a port has one value in both."""
    launch = airflow.AirflowLaunch(connections={"shop_db": "x"}, env={"LANDING_DIR": "x"})
    (tmp_path / "jwt_secret").write_text("x", encoding="utf-8")
    here = airflow.environment(tmp_path, 8080, launch)
    there = compose()["services"]["airflow"]["environment"]
    shared = {
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION",
        "AIRFLOW__CORE__LOAD_EXAMPLES",
        "AIRFLOW__CORE__PARALLELISM",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED",
        "DO_NOT_TRACK",
        "PROVIDERS__ENABLE_AIRFLOW_SECRETS",
        "RUNTIME__DLTHUB_TELEMETRY",
    }
    assert {name: there[name] for name in shared} == {name: here[name] for name in shared}
    assert {name for name in there if name.startswith("AIRFLOW")} <= set(here)


def test_both_sides_find_connections_files_and_pipelines_by_the_same_names() -> None:
    """The daemon and Airflow read one connection, one landing folder and one pipelines folder."""
    services = compose()["services"]
    sides = [services["airflow"], services["watcher"]]
    for name in ("AIRFLOW_CONN_SHOP_DB", "LANDING_DIR"):
        assert len({side["environment"][name] for side in sides}) == 1
    for side in sides:
        assert "./pipelines:/pipelines:ro" in side["volumes"]
        assert any(volume.startswith("manifests:/manifests") for volume in side["volumes"])
    assert "./local/shop.sql:/docker-entrypoint-initdb.d/shop.sql:ro" in services["shop"]["volumes"]


def test_the_users_of_compose_are_those_of_make_run() -> None:
    """The passwords file that Compose writes has the users and default passwords of `make run`."""
    service = compose()["services"]["airflow"]
    template = re.search(r"printf '(.*)\\n'", service["command"][0])
    assert template is not None
    defaults = [service["environment"][name] for name in ("ADMIN_PASSWORD", "WATCHER_PASSWORD")]
    passwords = [re.sub(r"\$\{\w+:-(.*)\}", r"\1", value) for value in defaults]
    assert json.loads(template[1] % tuple(passwords)) == airflow.AirflowLaunch().passwords


def test_the_image_takes_only_what_it_needs() -> None:
    """Everything is kept out of the build but the files that the Dockerfile copies."""
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    copied = [part for line in re.findall(r"^COPY (?!--from)(.*) \S+$", dockerfile, re.M) for part in line.split()]
    assert ignore[0] == "*"
    assert {f"!{path.split('/')[0]}" for path in copied} == {line for line in ignore if line.startswith("!")}
