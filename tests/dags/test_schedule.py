"""What Airflow's DAG list says of a pipeline: its cron, or what it waits for, and nothing where the plugin is missing."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow import plugins_manager
from airflow.serialization.decoders import decode_timetable
from airflow.serialization.encoders import encode_timetable
from airflow.timetables.base import TimeRestriction

from watcher.dags import schedule
from watcher.dags.schedule import registered_timetable, schedule_of, summary
from watcher.dags.timetable import OnChange
from watcher.pipeline.model import DatabaseSource, Pipeline, TableTimestamp, Trigger


def pipeline(sources: int = 1, **keys: Any) -> Pipeline:
    made = tuple(
        DatabaseSource(source_id=f"db{n}", connection="c", table="t", watch=TableTimestamp(column="at"))
        for n in range(sources)
    )
    trigger = Trigger(changes=1000, max_wait=timedelta(minutes=10))
    return Pipeline.model_validate({"name": "orders", "sources": made, "trigger": trigger} | keys)


def test_airflow_finds_the_plugin() -> None:
    """The wheel's entry point registers the timetable, without an error."""
    assert registered_timetable() is OnChange
    assert not plugins_manager.get_import_errors()


def test_what_the_column_says() -> None:
    """Source and limits are the two texts; many sources are not all named."""
    found = schedule_of(pipeline())

    assert isinstance(found, OnChange)
    assert (found.summary, found.description) == ("on change: db0", "1,000 changes, or 10m after the first")
    assert summary(pipeline(sources=6)) == "on change: db0, db1, db2 and 3 more"


def test_a_clock_shows_itself() -> None:
    """With a schedule the column is Airflow's own, with or without a trigger; without anything watched there is nothing to say."""
    assert schedule_of(pipeline(schedule="0 2 * * *")) == "0 2 * * *"
    assert schedule_of(pipeline(trigger=None)) is None
    still = DatabaseSource(source_id="db", connection="c", table="t")
    assert schedule_of(pipeline().model_copy(update={"sources": (still,)})) is None


def test_without_the_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Airflow does not have the timetable, the DAG has no schedule: with an unknown one it would not load."""
    monkeypatch.setattr(schedule, "registered_timetable", lambda: None)

    assert schedule_of(pipeline()) is None


def test_a_task_asks_for_no_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that runs one task loads no plugin for a text that nobody reads there."""
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "orders")

    assert schedule_of(pipeline()) is None


def test_it_never_schedules() -> None:
    """Neither now nor for the past, catch-up or not, and it comes back from Airflow's database as it was."""
    made = OnChange("on change: db", "x" * 2000)
    again = decode_timetable(encode_timetable(made))

    assert isinstance(again, OnChange)
    assert (again.summary, again.description) == ("on change: db", "x" * 1000)
    for catchup in (True, False):
        span = TimeRestriction(earliest=datetime(2024, 1, 1, tzinfo=UTC), latest=None, catchup=catchup)  # type: ignore[arg-type]
        assert again.next_dagrun_info(last_automated_data_interval=None, restriction=span) is None
    assert again.can_be_scheduled is False


def test_the_plugin_is_light() -> None:
    """Every task of every DAG loads all plugins; ours brings no pipeline, no model, no timetable with it."""
    program = (
        "import sys, airflow.plugins_manager; before = set(sys.modules); import watcher.dags.plugin as p; "
        "print(*sorted(set(sys.modules) - before)); print(p.WatcherPlugin.name)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    modules, name = done.stdout.splitlines()[-2:]

    assert name == "watcher"
    assert {module for module in modules.split() if module.startswith("watcher")} <= {
        "watcher", "watcher.dags", "watcher.dags.plugin", "watcher.errors", "watcher.detection", "watcher.version",
    }  # fmt: skip
    assert {"pydantic", "ruamel"}.isdisjoint(modules.split())
