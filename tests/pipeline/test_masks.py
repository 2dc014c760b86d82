"""Source lines are shown without the secrets in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.files import write
from watcher.pipeline.load import load

CUSTOM = 'name: a\nsources:\n  - source_id: s\n    source_type: custom\n    detector: "m:o"\n'


@pytest.mark.parametrize(
    "lines",
    [
        "    options: {password: canary-7}\n",
        "    options: {password: 'canary-7', optoin: {}}\n    zzz: 1\n",
        "    options: {a: [{token: canary-7}]}\n",
        "    options: {dsn: 'x://me:canary-7@host/db'}\n",
        "    optoins: {password: canary-7, x: 1}\n",
        "    options:\n      password: canary-7 #\n      password: canary-7\n",
        "    options:\n      password: a\n      password: x,canary-7\n",
        "    options:\n      password: canary-7: x\n",
        "    options:\n      password: [canary-7\n",
        "    connection: 'x://me:canary-7@host'\n",
        '    options: {password: "canary-7\n      canary-7"}\n',
        "    options:\n      password: |\n        canary-7\n",
        "    options: {password: 5, token: canary-7, zzz: ${BROKEN}}\n",
    ],
)
def test_a_literal_secret_is_masked_in_every_problem_of_its_line(tmp_path: Path, lines: str) -> None:
    """Also in a line that is shown because of another problem, and in a file that is no YAML."""
    loaded = load(write(tmp_path, a=CUSTOM + lines), variables={})
    assert loaded.errors
    assert "canary-7" not in f"{[problem.render() for problem in loaded.problems]}{loaded!r}"


def test_a_reference_stays_readable(tmp_path: Path) -> None:
    """What may stand in the file may be shown."""
    text = CUSTOM + '    options: {password: "${PW}", n: 1}\n    zzz: {password: "${PW}"}\n'
    loaded = load(write(tmp_path, a=text), variables={"PW": "x"})
    assert any("${PW}" in problem.render() for problem in loaded.problems)


def test_masking_a_long_line_is_quick(tmp_path: Path) -> None:
    """Lines made to upset a regular expression end as fast as others."""
    for filler in ("a" * 300_000, "://" + ":" * 300_000, "://:" * 70_000, "[ " * 40 + "a: " * 90_000):
        loaded = load(write(tmp_path, a=f"name: '{filler}\n"), variables={})
        assert loaded.errors
