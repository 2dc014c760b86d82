"""Every rule has a tiny file that breaks it, and the exact text that people then see."""

from __future__ import annotations

from pathlib import Path

import pytest

from watcher.errors import CODES
from watcher.pipeline.load import Loaded, load_file

HERE = Path(__file__).parent
BAD = sorted((HERE / "bad").glob("*.yaml"))
VARIABLES = {"SET": "value", "EMPTY": ""}


def told(loaded: Loaded) -> str:
    """What `check` prints for a file."""
    return "\n\n".join([*(problem.render() for problem in loaded.problems), loaded.summary()]) + "\n"


def load_bad(path: Path) -> Loaded:
    """The file under the short path that the expected texts name; only the not-available files meet that rule."""
    return load_file(path.relative_to(HERE), variables=VARIABLES, availability=path.name.startswith("not-available__"))


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_file_is_told_exactly(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text beside each bad file is, to the letter, what is printed for it."""
    monkeypatch.chdir(HERE)
    assert told(load_bad(path)) == path.with_suffix(".txt").read_text("utf-8")


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_the_code_of_a_bad_file_is_its_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is refused with the code that its name begins with; a warning leaves it loaded."""
    monkeypatch.chdir(HERE)
    loaded = load_bad(path)
    wanted = path.stem.split("__")[0]
    if wanted == "warning":
        assert [problem.severity for problem in loaded.problems] == ["warning"]
        assert len(loaded.pipelines) == 1
    else:
        assert not loaded.pipelines
        assert wanted == "many" or wanted in {problem.code for problem in loaded.errors}


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_every_problem_has_a_place_and_a_way_out(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each problem names a line and column inside the file, a code of the closed list, and what to do."""
    monkeypatch.chdir(HERE)
    lines = path.read_text("utf-8").split("\n")
    for problem in load_bad(path).problems:
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
        assert problem.code in CODES
        assert problem.advice


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_no_secret_is_ever_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A literal secret shows neither in the rendering nor in the other spellings of a problem."""
    monkeypatch.chdir(HERE)
    for problem in load_bad(path).problems:
        assert "hunter2" not in f"{problem.render()} {problem.as_json()} {problem.as_github()} {problem!r}"
