"""`watcher doctor` and what `watcher status` says of Airflow: real HTTP, real files, a real SQLite source."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from tests.airflow_api.fake_airflow import FakeAirflow
from watcher.cli.main import app
from watcher.errors import ConfigError
from watcher.pipeline.definition import definition_line
from watcher.pipeline.load import load_file
from watcher.store import open_store

CANARY = "c4nary-p4ssword"


class Project:
    """A folder with settings, one pipeline on a landing folder and one on a SQLite table."""

    def __init__(self, folder: Path, airflow: FakeAirflow) -> None:
        self.folder, self.airflow = folder, airflow
        (folder / "landing").mkdir()
        (folder / "pipelines").mkdir()
        with closing(sqlite3.connect(folder / "shop.db")) as shop:
            shop.execute("create table orders(id integer primary key, updated_at timestamp)")
            shop.commit()
        self.settle()
        landing = {"source_id": "drop", "source_type": "filesystem", "path": str(folder / "landing"), "watch": {}}
        table = {"source_id": "db", "source_type": "database", "connection": "shop", "table": "orders"}
        self.publish("landing", [landing])
        self.publish("orders", [table | {"watch": {"column": "updated_at"}}])

    def settle(self, **keys: Any) -> None:
        airflow = {"url": self.airflow.url, "username": "watcher", "password": "${AIRFLOW_PASSWORD}"}
        settings = {
            "pipelines": str(self.folder / "pipelines"),
            "store": {"url": f"sqlite:///{self.folder}/state/watcher.db"},
            "airflow": airflow,
        }
        (self.folder / "watcher.yaml").write_text(json.dumps(settings | keys))

    def publish(self, name: str, sources: list[dict[str, Any]], **keys: Any) -> None:
        """A pipeline's file, and the DAG that Airflow made of it."""
        path = self.folder / "pipelines" / f"{name}.yaml"
        path.write_text(json.dumps({"name": name, "sources": sources} | keys))
        self.parse(name)

    def parse(self, name: str) -> None:
        """Airflow reads the file as it is now."""
        (file,) = load_file(self.folder / "pipelines" / f"{name}.yaml", variables={}).pipelines
        self.airflow.dag(name, doc_md=f"Made.\n\n{definition_line(file.pipeline.fingerprint)}")

    async def run(self, *arguments: str, **variables: str) -> Result:
        """One command in this process, which has paid for the imports; the stand-in goes on answering meanwhile."""
        return await asyncio.to_thread(self._invoke, *arguments, "-c", str(self.folder / "watcher.yaml"), **variables)

    def _invoke(self, *arguments: str, **variables: str) -> Result:
        known = {"AIRFLOW_PASSWORD": self.airflow.password, "AIRFLOW_CONN_SHOP": f"sqlite:///{self.folder}/shop.db"}
        return CliRunner().invoke(app, arguments, env=known | variables)

    async def findings(self, *arguments: str, **variables: str) -> tuple[int, list[dict[str, Any]]]:
        done = await self.run("doctor", "--json", *arguments, **variables)
        return done.exit_code, json.loads(done.stdout)["findings"]


@pytest.fixture
def project(tmp_path: Path, airflow: FakeAirflow) -> Project:
    return Project(tmp_path, airflow)


def bad(findings: list[dict[str, Any]]) -> list[tuple[str, str, str | None]]:
    return [(each["part"], each["verdict"], each["code"]) for each in findings if each["verdict"] != "ok"]


async def test_all_is_well(project: Project) -> None:
    """Every part has its line: settings, store, Airflow with version and clock, DAGs in step, connections, sources."""
    done = await project.run("doctor")
    assert (done.exit_code, done.stderr) == (0, "All is well. Next: watcher run\n")
    lines = done.stdout.splitlines()
    assert [line[:14].rstrip() for line in lines] == [
        "Settings", "Store", "Airflow", "  DAGs", "Connections", "  shop", "Sources", "  drop", "  db",
    ]  # fmt: skip
    assert f"{project.airflow.url} 3.3.2, user watcher, " in lines[2]
    assert ", clock " in lines[2]
    assert "2 known and open, 2 made from their files and in step" in lines[3]
    assert "from AIRFLOW_CONN_SHOP; used by orders/db" in lines[5]
    assert all(line.endswith(" ok") for line in lines if not line.startswith(("Connections", "Sources")))


async def test_nothing_is_stored_or_sent(project: Project) -> None:
    """No store is made, no run is asked for."""
    await project.run("doctor")
    assert not (project.folder / "state").exists()
    assert {request.method for request in project.airflow.seen if "/auth/" not in request.path} == {"GET"}


async def test_an_older_definition_is_a_warning_until_airflow_parses_again(project: Project) -> None:
    """A changed file is behind in Airflow: a warning, exit 5 under --strict; after the parse it is in step."""
    path = project.folder / "pipelines" / "landing.yaml"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"description": "changed"}))
    done = await project.run("doctor")
    assert done.exit_code == 0
    assert "Airflow still runs an older definition of landing" in done.stdout
    assert done.stderr == "1 warning. Next: watcher status\n"
    assert (await project.run("doctor", "--strict")).exit_code == 5
    project.parse("landing")
    assert (await project.run("doctor", "--strict")).exit_code == 0


async def test_a_dag_that_is_not_made_from_the_file_is_told(project: Project) -> None:
    """A DAG of the same name without the mark is somebody else's; one that a file runs by dag_id needs no mark."""
    project.airflow.dag("landing", doc_md="my own")
    (source,) = json.loads((project.folder / "pipelines" / "landing.yaml").read_text())["sources"]
    (project.folder / "pipelines" / "other.yaml").write_text(
        json.dumps({"name": "other", "dag_id": "theirs", "sources": [source]})
    )
    project.airflow.dag("theirs")
    _, findings = await project.findings("--only", "airflow")
    assert [each["text"] for each in findings if each["verdict"] != "ok"] == [
        "Airflow's DAG landing is not made from this pipeline's file"
    ]


async def test_the_state_of_a_dag_is_told(project: Project) -> None:
    """Paused is a warning; unknown and broken FAILED with exit 4 and the page of the first code."""
    project.airflow.dag("landing", paused=True)
    del project.airflow.dags["orders"]
    done = await project.run("doctor")
    assert done.exit_code == 4
    assert "landing is paused in Airflow" in done.stdout
    assert "-> its changes are held and leave as one run when it is unpaused" in done.stdout
    assert 'Airflow does not know DAG "orders"' in done.stdout
    assert done.stderr == "1 failed, 1 warning. Next: docs/errors.md#dag-unknown\n"
    project.airflow.break_file("orders", "Traceback\nValueError: out of paint\n")
    code, findings = await project.findings("orders")
    assert code == 4
    assert bad(findings) == [("dags", "FAILED", "dag-broken")]


async def test_one_dag_that_airflow_cannot_tell_of_hides_no_other(project: Project) -> None:
    """Its step is not known; the others are looked at."""
    with project.airflow.fault("answer", path="/dags/landing/details", status=403, body=b'{"detail": "Forbidden"}'):
        code, findings = await project.findings("--only", "airflow")
    assert (code, bad(findings)) == (0, [])
    assert "2 known and open, 1 made from their files" in findings[1]["text"]


async def test_airflow_away_is_one_line_and_the_rest_is_looked_at(project: Project) -> None:
    """The store, connections and sources are still told."""
    project.settle(airflow={"url": "http://127.0.0.1:9"})
    code, findings = await project.findings("--timeout", "2s")
    assert code == 4
    assert bad(findings) == [("airflow", "FAILED", "airflow-unreachable")]
    assert {each["part"] for each in findings} == {"settings", "store", "airflow", "connections", "sources"}


async def test_a_wrong_password_is_told_once(project: Project) -> None:
    """However many DAGs there are."""
    code, findings = await project.findings("--only", "airflow", AIRFLOW_PASSWORD="wrong")
    assert (code, bad(findings)) == (4, [("airflow", "FAILED", "airflow-token")])


async def test_a_clock_that_is_far_off_is_a_warning(project: Project) -> None:
    """The difference is read from Airflow's own Date."""
    with project.airflow.fault(
        "answer",
        path="/monitor/health",
        status=200,
        body=b'{"metadatabase": {"status": "healthy"}, "scheduler": {"status": "healthy"}}',
        headers={"Content-Type": "application/json", "Date": "Wed, 01 Jan 2020 00:00:00 GMT"},
    ):
        _, findings = await project.findings("--only", "airflow")
    assert bad(findings) == [("airflow", "warning", None)]


async def test_sources_and_connections_that_do_not_work(project: Project) -> None:
    """An unknown connection and a folder that is gone FAILED, each with its fix."""
    (project.folder / "landing").rmdir()
    code, findings = await project.findings(AIRFLOW_CONN_SHOP="")
    assert code == 4
    assert bad(findings) == [
        ("connections", "FAILED", "unknown-connection"),
        ("sources", "FAILED", "source-schema"),
        ("sources", "FAILED", "unknown-connection"),
    ]
    assert all(each["advice"] for each in findings if each["verdict"] == "FAILED")


async def test_a_refused_file_and_a_store_that_is_away(project: Project) -> None:
    """Both FAILED, and the valid pipelines are looked at all the same."""
    (project.folder / "pipelines" / "bad.yaml").write_text("name: bad\n")
    project.settle(store={"url": "postgresql://watcher@127.0.0.1:9/state"})
    code, findings = await project.findings()
    assert code == 4
    assert bad(findings) == [("settings", "FAILED", "missing-key"), ("store", "FAILED", "store-unreachable")]


async def test_a_store_that_is_there_tells_its_schema(project: Project) -> None:
    """Place, schema and free space."""
    async with open_store(f"sqlite:///{project.folder}/state/watcher.db"):
        pass
    _, findings = await project.findings("--only", "store")
    (found,) = findings
    assert f"sqlite {project.folder}/state/watcher.db, schema 0001" in found["text"]
    assert "(newest)" in found["text"]


@pytest.mark.parametrize(
    ("only", "parts"),
    [
        ("airflow", {"airflow", "dags"}),
        ("store", {"store"}),
        ("sources", {"sources"}),
        ("connections", {"connections"}),
    ],
)
async def test_only_one_part(project: Project, only: str, parts: set[str]) -> None:
    """And nothing of the others."""
    code, findings = await project.findings("--only", only)
    assert (code, {each["part"] for each in findings}) == (0, parts)


async def test_one_pipeline(project: Project) -> None:
    """Its DAG, connection and sources alone; a name that nobody has is bad configuration."""
    _, findings = await project.findings("orders")
    assert {each["subject"] for each in findings} == {"", "shop", "db"}
    done = await project.run("doctor", "nobody")
    assert isinstance(done.exception, ConfigError)
    assert "there are: landing, orders" in str(done.exception)


async def test_wrong_usage(project: Project) -> None:
    """A part or a duration that is none exits 2."""
    assert (await project.run("doctor", "--only", "weather")).exit_code == 2
    assert (await project.run("doctor", "--timeout", "10")).exit_code == 2


async def test_no_secret_is_shown(project: Project) -> None:
    """Neither Airflow's password nor that of a connection is in any line, whatever fails."""
    url = f"postgresql://reader:{CANARY}@127.0.0.1:9/shop"
    for arguments in ((), ("--json",)):
        done = await project.run("doctor", *arguments, AIRFLOW_CONN_SHOP=url, AIRFLOW_PASSWORD=CANARY)
        assert done.exit_code == 4
        assert CANARY not in done.stdout + done.stderr


async def test_status_says_whether_airflow_is_in_step(project: Project) -> None:
    """In the table and in JSON; without Airflow nothing is said, and the table comes all the same."""
    async with open_store(f"sqlite:///{project.folder}/state/watcher.db") as store:
        await _seen(store)
    rows = json.loads((await project.run("status", "--json")).stdout)["pipelines"]
    assert [row["in_step"] for row in rows] == [True]
    path = project.folder / "pipelines" / "landing.yaml"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"description": "changed"}))
    done = await project.run("status")
    assert "  landing: Airflow still runs an older definition of landing (" in done.stdout
    (row,) = json.loads((await project.run("status", "--json", "--failing")).stdout)["pipelines"]
    assert (row["in_step"], row["definition"] == row["airflow_definition"]) == (False, False)
    project.settle(airflow={"url": "http://127.0.0.1:9"})
    away = await project.run("status", "--json")
    (row,) = json.loads(away.stdout)["pipelines"]
    assert (away.exit_code, row["in_step"]) == (0, None)


async def test_status_does_not_wait_for_an_airflow_that_hangs(project: Project) -> None:
    """Two seconds are the most, and the table is complete."""
    async with open_store(f"sqlite:///{project.folder}/state/watcher.db") as store:
        await _seen(store)
    with project.airflow.fault("hang", times=100):
        done = await asyncio.wait_for(project.run("status", "--json"), 20)
    assert (done.exit_code, json.loads(done.stdout)["pipelines"][0]["in_step"]) == (0, None)


async def _seen(store: Any) -> None:
    from tests.conftest import NOON
    from watcher.store import pipelines

    await pipelines.set_gate(store, "landing", None, "", NOON)
