"""How problems look to people and to programs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from watcher.pipeline.problems import Problem, summary

TYPO = Problem(
    Path("pipelines/broken.yaml"),
    11,
    3,
    "unknown-key",
    'unknown key "max_wiat" in trigger',
    'did you mean "max_wait"?',
    text="  max_wiat: 10m",
    width=8,
)


def test_a_problem_looks_as_the_documentation_shows() -> None:
    """Place, code and fact; the line; the caret and the way out."""
    assert TYPO.render() == (
        'pipelines/broken.yaml:11:3: error[unknown-key]: unknown key "max_wiat" in trigger\n'
        "   |\n"
        "11 |   max_wiat: 10m\n"
        '   |   ^^^^^^^^ did you mean "max_wait"?'
    )


def test_without_a_line_the_way_out_still_stands() -> None:
    """A problem of a whole file has no caret."""
    assert replace(TYPO, text="").render().endswith('in trigger\n   = did you mean "max_wait"?')


def test_without_a_hint_the_code_says_what_to_do() -> None:
    """Every code of the closed list has its fix in words."""
    assert "look it up in docs/pipeline.md" in replace(TYPO, hint="").render()


def test_tabs_and_control_characters_keep_the_caret_in_place() -> None:
    """A tab stays a tab under the line; an escape sequence reaches no terminal."""
    lines = replace(TYPO, text="\tmax_wiat: \x1b[31m", column=2).render().splitlines()
    assert lines[3].startswith("   | \t^^^^^^^^")
    assert "\x1b" not in "\n".join(lines)


def test_a_very_long_line_is_shown_around_the_caret() -> None:
    """A file of one line does not flood the terminal."""
    problem = replace(TYPO, text="x" * 5_000 + "max_wiat" + "y" * 5_000, column=5_001)
    lines = problem.render().splitlines()
    assert len(lines[2]) < 500
    start = lines[3].index("^")
    assert lines[2][start : start + 8] == "max_wiat"


def test_the_json_of_a_problem_is_complete() -> None:
    """The keys are stable and everything is JSON."""
    assert json.loads(json.dumps(TYPO.as_json())) == {
        "path": "pipelines/broken.yaml",
        "line": 11,
        "column": 3,
        "code": "unknown-key",
        "message": 'unknown key "max_wiat" in trigger',
        "hint": 'did you mean "max_wait"?',
        "severity": "error",
        "text": "  max_wiat: 10m",
        "width": 8,
    }


def test_the_annotation_cannot_be_broken_out_of() -> None:
    """One line for GitHub, with its special characters escaped."""
    line = replace(TYPO, path=Path("a,b:c%.yaml"), message="x\n::error::y").as_github()
    assert line.startswith(
        "::error file=a%2Cb%3Ac%25.yaml,line=11,col=3,endColumn=11,title=unknown-key::x%0A::error::y."
    )
    assert "\n" not in line


@pytest.mark.parametrize(
    ("errors", "warnings", "files", "valid", "line"),
    [
        (6, 0, 12, 11, "6 errors in 1 of 12 files. The other 11 are valid and would run."),
        (1, 0, 2, 1, "1 error in 1 of 2 files. The other one is valid and would run."),
        (2, 1, 2, 0, "2 errors in 2 of 2 files. None of them would run. 1 warning."),
        (1, 0, 1, 0, "1 error in 1 of 1 file. It would not run."),
        (0, 2, 3, 3, "3 files, all valid. 2 warnings."),
        (0, 0, 1, 1, "1 file, all valid."),
    ],
)
def test_the_last_line_counts(errors: int, warnings: int, files: int, valid: int, line: str) -> None:
    """How many problems, in how many files, and that the others would run."""
    problems = [TYPO] * errors + [replace(TYPO, severity="warning")] * warnings
    assert summary(problems, files, valid) == line
