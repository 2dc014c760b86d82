"""Variables: what is expanded, what is not, and what they can never do."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.pipeline.files import ORDERS, codes, only, write
from watcher.pipeline.load import load
from watcher.pipeline.reader import read_text
from watcher.pipeline.tree import plain
from watcher.pipeline.variables import Expander


def test_variables_become_numbers_and_flags_where_those_belong(tmp_path: Path) -> None:
    """`${LIMIT}` fills a count, `${ON}` a flag, `${WAIT}` a duration."""
    text = ORDERS.replace("{changes: 10, max_wait: 5m}", "{changes: '${LIMIT}', max_wait: '${WAIT:-7m}'}")
    loaded = load(write(tmp_path, a=text + "enabled: ${ON}\n"), variables={"LIMIT": "25", "ON": "False"})
    pipeline = only(loaded)
    assert pipeline.trigger is not None
    assert (pipeline.trigger.changes, pipeline.trigger.max_wait) == (25, timedelta(minutes=7))
    assert pipeline.enabled is False


@pytest.mark.parametrize(
    ("written", "expanded"),
    [
        ("${A}", "x"),
        ("pre-${A}-post", "pre-x-post"),
        ("${NO:-fallback}", "fallback"),
        ("${EMPTY:-fallback}", "fallback"),
        ("${EMPTY}", ""),
        ("${NO:-}", ""),
        ("${A:?must be set}", "x"),
        ("$$A costs $5", "$A costs $5"),
        ("$${A}", "${A}"),
        ("${NEST}", "${A}"),
        ("${A}${A}", "xx"),
    ],
)
def test_references_are_expanded_once(written: str, expanded: str) -> None:
    """Each form of a reference; a value is never looked through again."""
    tree = read_text(f'a: "{written}"\n', Path("x.yaml")).tree
    assert tree is not None
    expander = Expander({"A": "x", "EMPTY": "", "NEST": "${A}"})
    assert plain(expander.expand(tree)) == {"a": expanded}
    assert expander.problems == []


def test_a_variable_cannot_add_keys_or_items(tmp_path: Path) -> None:
    """What looks like YAML in a value stays a text, and keys are never expanded."""
    text = ORDERS + 'owner: ${EVIL}\ndescription: "${EVIL}"\n'
    pipeline = only(load(write(tmp_path, a=text), variables={"EVIL": "x\ntags: [evil]"}))
    assert (pipeline.owner, pipeline.tags) == ("x\ntags: [evil]", ())
    assert codes(load(write(tmp_path, a=ORDERS + '"${K}": 1\n'), variables={"K": "owner"})) == ["unknown-key"]


def test_the_caret_is_under_the_reference(tmp_path: Path) -> None:
    """In a longer text the undefined variable itself is shown."""
    loaded = load(write(tmp_path, a=ORDERS.replace("public.orders", "public.${NO}_x")), variables={})
    (problem,) = loaded.problems
    assert problem.text[problem.column - 1 :][: problem.width] == "${NO}"


def test_the_value_of_a_variable_is_never_told(tmp_path: Path) -> None:
    """A value that does not fit is refused by its place alone."""
    loaded = load(write(tmp_path, a=ORDERS.replace("5m", "'${V}'")), variables={"V": "canary-7"})
    assert codes(loaded) == ["bad-value"]
    assert "canary-7" not in f"{[problem.render() for problem in loaded.problems]}{loaded!r}"


def test_a_value_beyond_64_kib_is_refused(tmp_path: Path) -> None:
    """An environment cannot blow a file up."""
    loaded = load(write(tmp_path, a=ORDERS + "owner: ${BIG}\n"), variables={"BIG": "x" * 70_000})
    assert codes(loaded) == ["bad-value"]
