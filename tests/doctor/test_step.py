"""Whether Airflow runs the definition of the file: one word for each pair of marks."""

from __future__ import annotations

from pathlib import Path

import pytest

from watcher.airflow_api import DagState
from watcher.doctor.step import step_of
from watcher.pipeline.definition import definition_line, mark, read_mark
from watcher.pipeline.load import load_file
from watcher.pipeline.model import Pipeline


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    path = tmp_path / "orders.yaml"
    path.write_text("name: orders\nsources:\n  - {source_id: a, source_type: filesystem, path: /a, watch: {}}\n")
    return load_file(path, variables={}).pipelines[0].pipeline


def state(fingerprint: str | None, *, stale: bool = False) -> DagState:
    return DagState("orders", False, stale, False, fingerprint)


def test_every_word(pipeline: Pipeline) -> None:
    """In step, behind, somebody else's, and unknown where Airflow does not know the DAG or lost its file."""
    ours = mark(pipeline.fingerprint)
    assert step_of(pipeline, state(ours)).word == "in step"
    assert step_of(pipeline, state("0" * 16)).word == "behind"
    assert step_of(pipeline, state(None)).word == "not ours"
    assert step_of(pipeline, None).word == "unknown"
    assert step_of(pipeline, state("0" * 16, stale=True)).word == "unknown"
    existing = pipeline.model_copy(update={"dag_id": "theirs"})
    assert step_of(existing, state(None)).word == "not generated"


def test_only_what_needs_attention_has_a_sentence(pipeline: Pipeline) -> None:
    """A sentence and an advice come together."""
    for found in (state(mark(pipeline.fingerprint)), state("0" * 16), state(None), None):
        step = step_of(pipeline, found)
        assert bool(step.sentence) == bool(step.advice) == (step.word in ("behind", "not ours"))


def test_the_last_mark_of_a_page_counts() -> None:
    """A description may hold a line that reads like one; a page of nobody's has none."""
    page = f"{definition_line('a' * 64)}\n\n{definition_line('b' * 64)}\n"
    assert read_mark(page) == "b" * 16
    assert read_mark(page.replace("\n", "\r\n").replace("\r", "")) == "b" * 16
    assert read_mark("Definition `zz`") is None
    assert read_mark(None) is None
