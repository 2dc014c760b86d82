"""The whole daemon in one process: real files, real SQLite, real HTTP, no signals."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.airflow_api.fake_airflow import FakeAirflow
from watcher.daemon import DaemonOptions, run
from watcher.daemon.files import read_files
from watcher.errors import CannotStartError, ConfigError
from watcher.settings import Settings, load_settings
from watcher.store import open_store

SECONDS = 20


class House:
    """A folder with settings, pipelines and a landing place."""

    def __init__(self, folder: Path, airflow: FakeAirflow) -> None:
        self.folder, self.airflow = folder, airflow
        self.landing = folder / "landing"
        self.landing.mkdir()
        (folder / "pipelines").mkdir()

    @property
    def settings(self) -> Settings:
        path = self.folder / "watcher.yaml"
        path.write_text(
            json.dumps(
                {
                    "pipelines": str(self.folder / "pipelines"),
                    "store": {"url": f"sqlite:///{self.folder}/state/watcher.db"},
                    "airflow": {"url": self.airflow.url, "username": "watcher", "password": "${PASSWORD}"},
                    "web": {"ops": "127.0.0.1:0"},
                }
            )
        )
        return load_settings(path, {"PASSWORD": self.airflow.password})

    def publish(self, name: str, **keys: object) -> None:
        """A pipeline that runs for every file."""
        source = {
            "source_id": "landing",
            "source_type": "filesystem",
            "path": str(self.landing),
            "watch": {"settle": "0s", "interval": "1s", "start_from": "beginning"},
        }
        text = json.dumps({"name": name, "sources": [source], "trigger": {"changes": 1}} | keys)
        (self.folder / "pipelines" / f"{name}.yaml").write_text(text)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """The daemon at work; yields its ops address; leaving stops it in order."""
        stop, started = asyncio.Event(), asyncio.Future[str]()
        task = asyncio.create_task(run(DaemonOptions(self.settings, {}, started=started.set_result, stop=stop)))
        async with asyncio.timeout(SECONDS):
            await asyncio.wait([task, started], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        try:
            yield started.result()
        finally:
            stop.set()
            async with asyncio.timeout(SECONDS):
                await task


@pytest.fixture
def house(tmp_path: Path, airflow: FakeAirflow) -> House:
    """A house beside the stand-in for Airflow."""
    return House(tmp_path, airflow)


async def until(true: Callable[[], bool], airflow: FakeAirflow) -> None:
    """Waits for a fact that some request to Airflow brings about."""
    async with asyncio.timeout(SECONDS):
        while not true():
            async with airflow._arrived:
                with_timeout = asyncio.wait_for(airflow._arrived.wait(), 1)
                try:
                    await with_timeout
                except TimeoutError:
                    continue


async def test_a_file_becomes_one_run_and_the_stop_is_clean(house: House, airflow: FakeAirflow) -> None:
    """From the folder to the run through every service; readiness is green meanwhile."""
    house.publish("orders")
    (house.landing / "a.csv").write_text("1")
    async with house.running() as ops:
        await until(lambda: len(airflow.runs) == 1, airflow)
        async with aiohttp.ClientSession() as session, session.get(f"http://{ops}/readyz") as response:
            assert response.status == 200
    (run_,) = airflow.runs.values()
    assert run_["conf"]["watcher"]["sources"]["landing"]["files"] == [str(house.landing / "a.csv")]


async def test_what_changed_while_the_daemon_was_down_is_found_once(house: House, airflow: FakeAirflow) -> None:
    """A restart looks from the stored cursor: the old file is not sent again, the new one is."""
    house.publish("orders")
    (house.landing / "a.csv").write_text("1")
    async with house.running():
        await until(lambda: len(airflow.runs) == 1, airflow)
        for run_ in airflow.runs.values():
            run_["state"] = "success"
    (house.landing / "b.csv").write_text("2")
    async with house.running():
        await until(lambda: len(airflow.runs) == 2, airflow)
    listed = [run_["conf"]["watcher"]["sources"]["landing"]["files"] for run_ in airflow.runs.values()]
    assert listed == [[str(house.landing / "a.csv")], [str(house.landing / "b.csv")]]


async def test_one_bad_file_stops_no_other_pipeline_at_the_start(house: House, airflow: FakeAirflow) -> None:
    """The valid pipeline works; the bad one is told, not silent."""
    house.publish("orders")
    (house.folder / "pipelines" / "broken.yaml").write_text("name: broken\nsources: 3\n")
    (house.landing / "a.csv").write_text("1")
    async with house.running():
        await until(lambda: len(airflow.runs) == 1, airflow)
    files = read_files(house.settings, {})
    assert (list(files.usable), files.invalid) == (["orders"], 1)
    assert "broken.yaml:2" in files.problems[0]


async def test_a_pipeline_that_runs_by_the_clock_alone_is_airflows_own(house: House, airflow: FakeAirflow) -> None:
    """It is valid, it needs no watching, and it stops nobody."""
    house.publish("orders")
    nightly = {"source_id": "d", "source_type": "database", "connection": "unused", "table": "t"}
    text = json.dumps({"name": "nightly", "schedule": "0 2 * * *", "sources": [nightly]})
    (house.folder / "pipelines" / "nightly.yaml").write_text(text)
    (house.landing / "a.csv").write_text("1")
    async with house.running():
        await until(lambda: len(airflow.runs) == 1, airflow)
    assert list(read_files(house.settings, {}).usable) == ["orders"]


async def test_nothing_valid_is_refused_with_every_problem(house: House) -> None:
    """No pipeline can be worked: bad configuration, before anything is opened."""
    (house.folder / "pipelines" / "broken.yaml").write_text("name: broken\nsources: 3\n")
    with pytest.raises(ConfigError) as caught:
        async with house.running():
            pass
    assert "broken.yaml:2" in str(caught.value)
    assert not (house.folder / "state").exists()


async def test_an_unknown_connection_refuses_that_pipeline_alone(house: House) -> None:
    """The message says which source and where we looked."""
    house.publish("orders")
    source = {
        "source_id": "db",
        "source_type": "database",
        "connection": "nowhere",
        "table": "t",
        "watch": {"column": "c"},
    }
    house.publish("second", sources=[source])
    files = read_files(house.settings, {})
    assert list(files.usable) == ["orders"]
    assert "nowhere" in files.problems[0]
    assert "WATCHER_CONN_NOWHERE" in files.problems[0]


async def test_a_second_daemon_on_one_store_cannot_start(house: House) -> None:
    """It names the first; nothing of the first is touched."""
    house.publish("orders")
    async with open_store(house.settings.store.url):
        with pytest.raises(CannotStartError) as caught:
            async with house.running():
                pass
    assert caught.value.code == "store-taken"
