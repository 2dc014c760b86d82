"""Which models a run builds is said by the pipeline's own file; the batch only says which of its sources count."""

from __future__ import annotations

from typing import Any

import pytest
from running_tasks import conf_of

from watcher.dags.operators.selection import Loaded, asks_for_changed, changed, expand, loaded_by
from watcher.pipeline.model import Pipeline
from watcher.pipeline.run import SourceFacts, read_batch

ORDERS = Loaded("orders_db", True, "shop", ("orders", "OrderLines"))
CRM = Loaded("crm_db", True, "shop", ("customers",))
RATES = Loaded("rates", False, "shop", ("rates",))


@pytest.mark.parametrize(
    ("select", "asks"),
    [("changed", True), ("tag:x changed,orders", True), ("changed_orders", False), ("tag:changed", False)],
)
def test_word(select: str, asks: bool) -> None:
    """Only the whole word `changed` is ours; everything else is dbt's."""
    assert asks_for_changed(select) is asks


@pytest.mark.parametrize(
    ("select", "expanded"),
    [
        ("changed", "source:shop.orders+ source:shop.order_lines+"),
        ("changed,tag:hourly", "source:shop.orders+,tag:hourly source:shop.order_lines+,tag:hourly"),
        ("+orders_daily changed", "+orders_daily source:shop.orders+ source:shop.order_lines+"),
        ("@x,tag:y", "@x,tag:y"),
    ],
)
def test_expanded(select: str, expanded: str) -> None:
    """`changed` becomes the children of every table of what changed; with a comma each of them is met with the rest."""
    assert expand(select, [ORDERS], {}) == expanded


def test_nothing_changed() -> None:
    """Without a changed source `changed` is nothing, and what stands beside it stays."""
    assert expand("changed", [], {}) == ""
    assert expand("changed,tag:x other", [], {}) == "other"


def test_names_of_the_manifest() -> None:
    """A table is found under the name that the project gives it, by its schema and its own name, whatever their case."""
    entry = {"source_name": "raw", "name": "clients", "schema": "SHOP", "identifier": "CUSTOMERS"}

    assert expand("changed", [CRM, ORDERS], {"source.p.raw.clients": entry}).split()[:2] == [
        "source:raw.clients+",
        "source:shop.orders+",
    ]
    assert expand("changed", [Loaded("all", True, "shop", ())], {"source.p.raw.clients": entry}) == "source:raw+"
    assert expand("changed", [Loaded("all", True, "shop", ())], {}) == "source:shop+"


def test_which_changed() -> None:
    """Those of the batch with changes, and those that nobody watches; all of them for a run by hand."""
    facts = (SourceFacts("orders_db", 3, 0, {"insert": 3}), SourceFacts("crm_db", 0, 0, {}))
    batch = read_batch(conf_of(*facts, SourceFacts("evil,tag:x", 9, 0, {"insert": 9})))

    assert changed([ORDERS, CRM, RATES], batch) == [ORDERS, RATES]
    assert changed([ORDERS, CRM, RATES], None) == [ORDERS, CRM, RATES]


def tables(**source: Any) -> tuple[str, ...]:
    keys = {"source_id": "s", "source_type": "database", "connection": "c", **source}
    return loaded_by(Pipeline.model_validate({"name": "shop", "sources": (keys,)}))[0].tables


def test_what_ingest_makes() -> None:
    """Tables go by the names that ingest gives them at the destination."""
    assert tables(table="public.orders") == ("orders",)
    assert tables(tables=("a.orders", "b.orders", "b.lines")) == ("a_orders", "b_orders", "lines")
    assert tables(query="select 1") == ("s",)
    assert tables(table="public.orders", ingest={"table": "raw"}) == ("raw",)
    assert tables() == ()
    assert tables(source_type="filesystem", path="/data", connection=None) == ("s",)
    assert tables(source_type="api", endpoint="/v1", connection=None) == ("s",)
    assert tables(source_type="custom", detector="a:b", connection=None, ingest={"resource": "a:c"}) == ()


def test_dataset_and_what_is_off() -> None:
    """The dataset is that of `ingest`, else the pipeline's name; what is disabled or only told makes nothing."""
    on = {"source_id": "a", "source_type": "database", "connection": "c", "table": "t"}
    off = {**on, "source_id": "b", "enabled": False}
    told = {"source_id": "e", "source_type": "custom", "detector": "a:b"}
    named = {**on, "source_id": "d", "ingest": {"dataset": "raw"}, "watch": {"method": "timestamp", "column": "at"}}

    assert loaded_by(Pipeline.model_validate({"name": "shop", "sources": (on, off, named, told)})) == (
        Loaded("a", False, "shop", ("t",)),
        Loaded("d", True, "raw", ("t",)),
    )
