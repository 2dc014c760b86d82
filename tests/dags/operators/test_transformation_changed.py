"""A transformation may build no more than what hangs below the sources that changed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dbt_tasks import Build, batch_of, built, executable

from watcher.errors import ConfigError

# dbt's and Cosmos' own libraries warn about themselves
pytestmark = [
    pytest.mark.usefixtures("dbt_project"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"),
]
Ask = Callable[[str], list[Any]]


def test_children_of_what_changed(warehouse: Ask, dbt_project: Path) -> None:
    """`select: changed` builds the children of the batch's sources, others stay as they are; without a batch all are built."""
    (dbt_project / "models" / "broken.sql").unlink()
    parse(dbt_project)  # the project calls the table crm.customers; only its manifest knows that it is ours
    task = Build(model_name="marts", select="changed")

    assert task.run(batch_of(crm_db=2)).keys() == {"customers_by_country"}
    assert task.run(batch_of(orders_db=5)).keys() == {"staging_orders", "orders_daily"}
    assert task.run().keys() == {"staging_orders", "orders_daily", "customers_by_country"}


def test_changed_and_something_else(warehouse: Ask) -> None:
    """Beside a comma `changed` is met with another condition; what is left may be nothing, and that is no error."""
    task = Build(model_name="orders_daily", select="changed,orders_daily")
    built(model_name="staging_orders")

    assert task.run(batch_of(orders_db=5)).keys() == {"orders_daily"}
    assert task.run(batch_of(crm_db=2)) == {}
    assert task.run(batch_of(orders_db=0, crm_db=0)) == {}


def parse(project: Path) -> None:
    """Make the manifest as a build of the project would, for another database."""
    profile = project.parent / "profiles.yml"
    profile.write_text("shop: {target: ci, outputs: {ci: {type: duckdb, path: ':memory:', schema: elsewhere}}}")
    command = [executable(), "parse", "--project-dir", str(project), "--profiles-dir", str(project.parent)]
    subprocess.run(
        [*command, "--profile", "shop", "--log-path", str(project.parent / "logs")], check=True, capture_output=True
    )


def test_manifest_of_another_target(warehouse: Ask, dbt_project: Path) -> None:
    """A manifest that was made for another database is used for names alone: models are built where ingest has loaded."""
    parse(dbt_project)

    built(model_name="staging_orders")

    assert warehouse("select count(*) from orders.staging_orders") == [(3,)]
    assert warehouse("select count(*) from information_schema.tables where table_schema = 'elsewhere'") == [(0,)]


def test_broken_manifest(dbt_project: Path) -> None:
    """A manifest that cannot be read is told where it is needed."""
    (dbt_project / "target").mkdir()
    (dbt_project / "target" / "manifest.json").write_text("{")

    with pytest.raises(ConfigError, match=r"manifest\.json is not a manifest of dbt") as caught:
        built(model_name="marts", select="changed")
    assert caught.value.code == "unreadable-file"
