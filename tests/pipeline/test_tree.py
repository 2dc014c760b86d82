"""The tree: merging keeps places, and edits leave the rest alone."""

from __future__ import annotations

from pathlib import Path

from watcher.pipeline.reader import read_text
from watcher.pipeline.tree import Fields, Scalar, find, merge, places, plain, real_way, renamed, with_value, without


def tree(text: str, name: str = "x.yaml") -> Fields:
    """The tree of a text."""
    read = read_text(text, Path(name)).tree
    assert read is not None
    return read


def test_a_merged_value_points_to_the_file_it_came_from() -> None:
    """Mappings merge key by key, lists and values are replaced, each keeps its place."""
    merged = merge(tree("a: {b: 1, c: [1, 2]}\nd: 1\n", "base.yaml"), tree("\na: {c: [3]}\n", "over.yaml"))
    assert plain(merged) == {"a": {"b": 1, "c": [3]}, "d": 1}
    base, over = find(merged, ("a", "b")), find(merged, ("a", "c", 0))
    assert (base.file.path.name, base.line) == ("base.yaml", 1)
    assert (over.file.path.name, over.line) == ("over.yaml", 2)


def test_steps_that_are_no_keys_are_skipped() -> None:
    """The tag of a union in pydantic's path does not lead astray."""
    source = tree("sources:\n  - {source_type: database, table: t}\n")
    way = ("sources", 0, "database", "table")
    assert real_way(source, way) == ("sources", 0, "table")
    assert find(source, way).column == find(source, ("sources", 0, "table")).column


def test_edits_change_one_place() -> None:
    """Leaving out, replacing and renaming keep order and the rest."""
    source = tree("a: [1, {b: 2}]\nc: 3\n")
    assert plain(without(source, ("a", 0))) == {"a": [{"b": 2}], "c": 3}
    assert plain(without(source, ("a", 1, "b"))) == {"a": [1, {}], "c": 3}
    assert plain(with_value(source, ("a", 1, "b"), Scalar(9, source.place))) == {"a": [1, {"b": 9}], "c": 3}
    assert list(renamed(source, "a", "z").entries) == ["z", "c"]
    assert plain(source) == {"a": [1, {"b": 2}], "c": 3}


def test_all_places_of_a_tree_are_listed() -> None:
    """Keys and values, at every depth."""
    found = {(line, column) for _, line, column in places(tree("a:\n  - b: 1\n"))}
    assert {(1, 1), (2, 5), (2, 8)} <= found
