"""The JSON Schema for editors takes what the loader takes, and refuses what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from tests.pipeline.files import EXAMPLES, ORDERS
from watcher.pipeline.reader import read_text
from watcher.pipeline.schema import json_schema
from watcher.pipeline.tree import plain

BAD = Path(__file__).parent / "bad"
SCHEMA = json_schema()
VALIDATOR = Draft202012Validator(SCHEMA)


def errors(text: str) -> list[str]:
    """What the schema says about a file."""
    tree = read_text(text, Path("x.yaml")).tree
    assert tree is not None
    return [error.message for error in VALIDATOR.iter_errors(plain(tree))]


def test_it_is_a_schema() -> None:
    """The document is itself valid, and says the same each time."""
    Draft202012Validator.check_schema(SCHEMA)
    assert json_schema() == SCHEMA


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_all_examples_fit(path: Path) -> None:
    """Every example of the documentation is valid for an editor, read by any YAML 1.2 reader."""
    document: Any = YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
    assert [error.message for error in VALIDATOR.iter_errors(document)] == []


@pytest.mark.parametrize(
    "more",
    [
        "schedule_interval: '0 2 * * *'\n",
        "quality_rules: [{rule: row_count, table: t, min: 1}]\n",
        "enabled: ${ON}\n",
        "retries: {ingest: 3, validate: {attempts: 2, delay: 5s}}\n",
        "dependencies: {ingest_orders_db: {after: [], trigger_rule: all_done}}\n",
        "defaults: {watch: {interval: 10s, settle: 5s}, connection: x, retries: {transform: 1}}\n",
        "environments: {dev: {trigger: {max_wait: null}, sources: {orders_db: {watch: {method: log_based}}}}}\n",
        "environments: {dev: {sources: {orders_db: {watch: false}}}}\n",
    ],
)
def test_what_may_be_written_fits(more: str) -> None:
    """Aliases, short spellings, variables, defaults and environments are part of the schema."""
    assert errors(ORDERS + more) == []


@pytest.mark.parametrize(
    "name",
    [
        "unknown-key__trigger",
        "unknown-key__top",
        "unknown-key__branch",
        "unknown-key__defaults_watch",
        "unknown-key__environment",
        "unknown-key__environment_source",
        "unknown-key__other_source_type",
        "missing-key__name",
        "missing-key__sources",
        "missing-key__source_type",
        "missing-key__path",
        "bad-value__source_type",
        "bad-value__method",
        "bad-value__while_running",
        "bad-value__negative",
        "bad-value__name",
        "bad-value__tags",
        "bad-value__size",
        "bad-value__watch_true",
        "no-unit__duration",
        "no-unit__size",
    ],
)
def test_what_the_loader_refuses_does_not_fit(name: str) -> None:
    """Unknown and missing keys, wrong words and missing units are seen by an editor too."""
    assert errors((BAD / f"{name}.yaml").read_text("utf-8"))


def test_a_key_may_be_written_as_a_lone_text() -> None:
    """`key: id` and `key: [id]` both fit, and a number fits neither."""
    assert errors(ORDERS.replace("{column: updated_at}", "{column: u, key: id}")) == []
    assert errors(ORDERS.replace("{column: updated_at}", "{column: u, key: [id, b]}")) == []
    assert errors(ORDERS.replace("{column: updated_at}", "{column: u, key: 5}"))
