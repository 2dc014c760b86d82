"""What a pattern matches, and that no pattern takes long over it."""

from __future__ import annotations

import fnmatch
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.detectors.filesystem.patterns import Glob, Patterns, translate


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("**/*", "a", True),
        ("**/*", "a/b/c", True),
        ("**/*.csv", "a.csv", True),
        ("**/*.csv", "x/y/a.csv", True),
        ("**/*.csv", "x/y/a.csv.gz", False),
        ("**/*.csv", "x.csv/y", False),
        ("*.csv", "a.csv", True),
        ("*.csv", "x/a.csv", False),
        ("in/**/out/*.csv", "in/out/a.csv", True),
        ("in/**/out/*.csv", "in/1/2/out/a.csv", True),
        ("in/**/out/*.csv", "in/out/x/a.csv", False),
        ("**/a/**/b/**", "x/a/y/b/z", True),
        ("**/a/**/b/**", "x/b/y/a/z", False),
        ("data/*/part-?.csv", "data/2026/part-1.csv", True),
        ("data/*/part-?.csv", "data/2026/part-12.csv", False),
        ("data/*/part-?.csv", "data/a/b/part-1.csv", False),
        ("[ab]*.csv", "b1.csv", True),
        ("[!ab]*.csv", "b1.csv", False),
        ("[a-c][0-9].csv", "b7.csv", True),
        ("[*].csv", "*.csv", True),
        ("[*].csv", "a.csv", False),
        ("[]x].csv", "].csv", True),
        ("[.csv", "[.csv", True),
        ("[z-a]", "b", False),
        ("[!z-a]", "b", True),
        ("[^a]", "^", True),
        ("a+(b).csv", "a+(b).csv", True),
        ("*", "two\nlines", True),
        ("?", "\udcff", True),
        ("A.csv", "a.csv", False),
    ],
)
def test_a_pattern_means(pattern: str, path: str, *, matches: bool) -> None:
    """Stars stay inside a segment, double stars span segments, classes and letters are what they say."""
    assert Glob(pattern).matches(path) is matches


@pytest.mark.parametrize(
    ("ignore", "path"),
    [
        ("*.tmp", "a.tmp"),
        ("*.tmp", "x.tmp/a.csv"),
        (".*", ".git/objects/a"),
        (".*", "x/.hidden"),
        ("~$*", "x/~$report.xlsx"),
        ("old/*.csv", "old/a.csv"),
        ("old/**", "old/x/a.csv"),
        ("**/cache/**", "x/cache/y/a.csv"),
        ("cache/", "x/cache/a.csv"),
        ("/cache", "cache/a.csv"),
    ],
)
def test_ignored_by_name_or_by_path(ignore: str, path: str) -> None:
    """A name is ignored wherever it stands, a path from the root on, each with all below it."""
    assert Patterns("**/*", ()).covers(path)
    assert not Patterns("**/*", (ignore,)).covers(path)


def test_a_path_to_ignore_begins_at_the_root() -> None:
    """`old/*.csv` says nothing about `x/old/a.csv`, and a leading slash makes a path of a name."""
    assert Patterns("**/*", ("old/*.csv", "/old")).covers("x/old/a.csv")


@pytest.mark.parametrize(("pattern", "depth"), [("*.csv", 1), ("in/*/*.csv", 3), ("**/*.csv", None)])
def test_a_pattern_knows_how_deep_it_reaches(pattern: str, depth: int | None) -> None:
    """Without a double star nothing below the pattern's own depth has to be read."""
    assert Patterns(pattern, ()).depth == depth


@given(st.text("ab*?[]!-", max_size=8), st.text("ab-]!", max_size=10))
def test_one_segment_agrees_with_the_standard_library(pattern: str, name: str) -> None:
    """Inside a segment we read patterns as `fnmatch` does."""
    assert bool(re.fullmatch(translate(pattern), name)) == fnmatch.fnmatchcase(name, pattern)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a" * 60 + "b", "a" * 255),
        ("**/a/" * 30 + "b", "a/" * 2000 + "c"),
        ("[a]*" * 60 + "b", "a" * 255),
        ("*" * 200 + "b", "a" * 255),
    ],
)
def test_no_pattern_takes_long(pattern: str, path: str) -> None:
    """Patterns that make a backtracking matcher run for ever end in a moment."""
    glob, begun = Glob(pattern), time.process_time()
    assert not glob.matches(path)
    assert time.process_time() - begun < 0.5
