"""What this version cannot do yet is told, and can be let through to check the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.files import EXAMPLES, ORDERS, codes, only, write
from watcher.pipeline.availability import ABOUT_PIPELINES, ABOUT_SOURCES
from watcher.pipeline.load import load, load_file

BAD = Path(__file__).parent / "bad"


@pytest.mark.parametrize("asked", sorted({line[1] for line in (*ABOUT_SOURCES, *ABOUT_PIPELINES)}))
def test_every_line_has_a_file_that_meets_it(asked: str) -> None:
    """No line of the table is dead."""
    told = "".join(path.read_text("utf-8") for path in BAD.glob("not-available__*.txt"))
    assert f"{asked} is not available in this version yet" in told


@pytest.mark.parametrize("path", sorted(BAD.glob("not-available__*.yaml")), ids=lambda path: path.stem)
def test_without_the_table_all_of_it_is_valid(path: Path) -> None:
    """The keys themselves are right; only the table stands in their way."""
    assert only(load_file(path, variables={}, availability=False)).name == "orders"


def test_what_is_switched_off_may_be_anything(tmp_path: Path) -> None:
    """A disabled source of a later version does no harm; nor do task timeouts."""
    text = ORDERS.replace(
        "trigger:", "  - {source_id: later, source_type: api, endpoint: /x, enabled: false}\ntrigger:"
    )
    assert (
        only(load(write(tmp_path, a=text + "monitoring: {task_timeout: {ingest: 1h}}\n"), variables={})).name
        == "orders"
    )


def test_a_custom_source_of_an_existing_dag_that_is_not_watched_is_fine(tmp_path: Path) -> None:
    """Neither the daemon nor a generated DAG touches it; a generated one needs to know how it is loaded."""
    source = "  - {source_id: x, source_type: custom, detector: 'acme:Models', watch: false%s}\ntrigger:"
    text = ORDERS.replace("trigger:", source % "")
    assert codes(load(write(tmp_path, a=text), variables={})) == ["not-available"]
    assert only(load(write(tmp_path, a=text + "dag_id: old\n"), variables={})).dag_id == "old"
    loaded = ORDERS.replace("trigger:", source % ", ingest: {resource: 'acme:models'}")
    assert only(load(write(tmp_path, a=loaded), variables={})).name == "orders"


def test_an_api_source_that_is_not_watched_is_fine(tmp_path: Path) -> None:
    """The daemon does not look at it, the DAG loads it."""
    text = ORDERS.replace("trigger:", "  - {source_id: x, source_type: api, endpoint: /x, watch: false}\ntrigger:")
    assert only(load(write(tmp_path, a=text), variables={})).name == "orders"


def test_the_examples_of_later_versions_are_refused_at_their_lines() -> None:
    """Three of the six examples ask for more than this version can; the others load."""
    loaded = load(EXAMPLES, variables={})
    assert {problem.code for problem in loaded.errors} == {"not-available"}
    assert [file.pipeline.name for file in loaded.pipelines] == ["my_pipeline", "orders", "partner_files"]
