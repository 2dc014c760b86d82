"""The page behind the book icon."""

from __future__ import annotations

from datetime import timedelta

import pytest

from watcher.dags.page import page, when
from watcher.pipeline.model import (
    Branch,
    DatabaseSource,
    FilesystemSource,
    FilesystemWatch,
    Pipeline,
    TableTimestamp,
    Trigger,
)

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)


def test_page() -> None:
    """It says where the DAG comes from, when it runs, what it reads, where its status is, and which definition it is."""
    sources = (
        DatabaseSource(source_id="orders_db", tables=("a", "b"), watch=TableTimestamp(column="updated_at")),
        FilesystemSource(source_id="landing", path="/data", pattern="*.csv", watch=FilesystemWatch()),
        DatabaseSource(source_id="dims", query="select 1"),
    )
    pipeline = Pipeline(
        name="orders",
        description="Load <b>orders|now</b>",
        schedule="0 2 * * *",
        sources=sources,
        trigger=Trigger(changes=1),
    )

    assert (
        page(pipeline, "pipelines/orders.yaml", "https://watcher.example/")
        == f"""\
Made from `pipelines/orders.yaml`: edit that file, not this DAG.

Load &lt;b>orders\\|now&lt;/b>

**When:** after 1 change; and at `0 2 * * *`

| source | type | watched | reads |
|---|---|---|---|
| orders_db | database | timestamp on `updated_at`, every 30s | a, b |
| landing | filesystem | notify, every 30s | *.csv |
| dims | database | no | a query |

[Status of orders](https://watcher.example/pipelines/orders)

Definition `{pipeline.fingerprint[:16]}`
"""
    )


def test_by_hand_only() -> None:
    """Without a public address there is no link, and without trigger and schedule the page says so."""
    pipeline = Pipeline(name="orders", sources=(DatabaseSource(source_id="orders_db"),))
    text = page(pipeline, "pipelines/orders.yaml", None)

    assert "**When:** by hand only" in text
    assert "](" not in text


@pytest.mark.parametrize(
    ("trigger", "sentence"),
    [
        (Trigger(changes=1000, max_wait=10 * MINUTE), "after 1,000 changes, or 10m after the first"),
        (Trigger(max_wait=MINUTE), "1m after the first change"),
        (Trigger(files=24, bytes=50_000_000, within=MINUTE), "after 50MB or 24 files within 1m"),
        (Trigger(changes=1, settle=20 * SECOND), "after 1 change, once nothing has arrived for 20s"),
        (Trigger(changes=1, cooldown=15 * MINUTE), "after 1 change, at least 15m apart"),
        (
            Trigger(
                any=(
                    Branch(all=(Branch(source="crm_db", changes=5000), Branch(source="web", bytes=10**9))),
                    Branch(changes=1),
                ),
            ),
            "after (5,000 changes in crm_db and 1GB in web) or 1 change",
        ),
    ],
)
def test_when(trigger: Trigger, sentence: str) -> None:
    """A trigger reads as one sentence."""
    assert when(trigger) == sentence
