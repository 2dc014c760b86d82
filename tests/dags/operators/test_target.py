"""The tasks after ingest work where ingest has loaded."""

from __future__ import annotations

from typing import Any

import pytest

from watcher.dags.operators.target import Target, name_there, target_of
from watcher.errors import ConfigError
from watcher.pipeline.model import DatabaseSource, Pipeline


def source(name: str, **keys: Any) -> DatabaseSource:
    return DatabaseSource.model_validate({"source_id": name, "connection": "c", "table": name, **keys})


def target(*sources: DatabaseSource) -> Target:
    return target_of(Pipeline.model_validate({"name": "orders-cdc", "sources": sources}))


def test_default() -> None:
    """Without a word it is the DuckDB file, and a schema by the pipeline's name as dlt writes it."""
    assert target(source("a")) == Target("duckdb", "orders-cdc")
    assert target(source("a")).schema == "orders_cdc"


def test_as_the_sources_say() -> None:
    """One destination and one dataset that sources name are those of the other tasks."""
    named = source("a", ingest={"destination": "mart", "dataset": "Raw Data"})

    assert target(named) == Target("mart", "Raw Data")
    assert target(named, source("off", enabled=False, ingest={"destination": "other"})) == Target("mart", "Raw Data")
    assert target(named, source("b", ingest={"destination": "mart"})) == Target("mart", "orders-cdc")


def test_two_destinations() -> None:
    """Two destinations are one too many, and the message names them."""
    with pytest.raises(ConfigError, match="loaded into lake and mart"):
        target(source("a", ingest={"destination": "mart"}), source("b", ingest={"destination": "lake"}))


@pytest.mark.parametrize(
    ("name", "there"),
    [("orders", "orders"), ("orders-cdc", "orders_cdc"), ("OrderLines", "order_lines"), ("a__b", "a_b"), ("1a", "_1a")],
)
def test_names_as_dlt_writes_them(name: str, there: str) -> None:
    """A name is found at the destination whatever dlt has made of it."""
    from dlt.common.normalizers.naming.snake_case import NamingConvention

    assert name_there(name) == there == NamingConvention().normalize_table_identifier(name)
