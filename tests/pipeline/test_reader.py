"""Reading one file: encodings, YAML 1.2, and files that were made to explode."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest

from tests.pipeline.files import ORDERS, codes, only, write
from watcher.pipeline.load import load, load_file
from watcher.pipeline.reader import read_text, resolve
from watcher.pipeline.tree import find, plain

BOMBS = {
    "aliases": "a: &a [x]\n"
    + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(11)),
    "many aliases": "a: &a x\nb: [" + ", ".join(["*a"] * 200) + "]\n",
    "wide": "a: [" + ",".join(["1"] * 100_000) + "]\n",
    "deep list": "[" * 100_000,
    "deep mapping": "{a: " * 50_000,
    "deep block": "".join(f"{' ' * n}a:\n" for n in range(1, 900)),
    "deep by aliases": "a: &a [[[[[[[[[[1]]]]]]]]]]\nb: &b [[[[[[[[[[*a]]]]]]]]]]\nc: &c [[[[[[[[[[*b]]]]]]]]]]\nd: [[*c]]\n",
    "long number": "version: " + "9" * 100_000 + "\n",
    "recursive": "a: &a [*a]\n",
    "pattern": "name: orders\nsources: [{source_id: " + "a" * 50_000 + "!, source_type: database}]\n",
    "unknown keys": "".join(f"key{n}: 1\n" for n in range(2_000)),
}


@pytest.mark.parametrize("bomb", BOMBS, ids=lambda name: name.replace(" ", "-"))
def test_a_bomb_ends_fast_and_small(tmp_path: Path, bomb: str) -> None:
    """A file made to explode is refused within seconds and 50 MiB."""
    path = tmp_path / "a.yaml"
    path.write_text(BOMBS[bomb])
    start = time.perf_counter()
    loaded = load_file(path, variables={})
    spent = time.perf_counter() - start
    assert loaded.pipelines == ()
    assert loaded.errors
    assert spent < 5
    tracemalloc.start()
    load_file(path, variables={})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50 * 1024 * 1024


@pytest.mark.parametrize("body", [b"\xff\xfe\x00", b"name: \xe9\n", b"x" * (1024 * 1024 + 1)])
def test_a_file_that_is_no_text_is_a_problem(tmp_path: Path, body: bytes) -> None:
    """Wrong encodings and files over 1 MiB are refused before they are parsed."""
    path = tmp_path / "a.yaml"
    path.write_bytes(body)
    assert codes(load_file(path, variables={})) == ["unreadable-file"]


def test_a_byte_order_mark_is_fine(tmp_path: Path) -> None:
    """Editors that write one do no harm."""
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + ORDERS.encode())
    assert only(load_file(path, variables={})).name == "orders"


def test_anchors_may_be_used(tmp_path: Path) -> None:
    """An alias is the anchored value, true stays true."""
    text = ORDERS + "enabled: &yes true\ncatchup: *yes\ntags: &t [a]\n"
    pipeline = only(load(write(tmp_path, a=text), variables={}))
    assert (pipeline.enabled, pipeline.catchup, pipeline.tags) == (True, True, ("a",))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("-5", -5),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("2026-01-31", "2026-01-31"),
        ("1:30", "1:30"),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("1_000", "1_000"),
    ],
)
def test_plain_values_are_read_as_yaml_1_2(text: str, value: object) -> None:
    """No surprise of YAML 1.1: yes is a text, 010 is ten, a date is a text."""
    found = resolve(text)
    assert (found, type(found)) == (value, type(value))


def test_every_value_knows_its_place() -> None:
    """Line, column and width of keys and values, in block and flow style alike."""
    tree = read_text("a:\n  - {b: 'cd', e: 5}\n", Path("x.yaml")).tree
    assert tree is not None
    assert plain(tree) == {"a": [{"b": "cd", "e": 5}]}
    value, key = find(tree, ("a", 0, "b")), find(tree, ("a", 0, "e"), key=True)
    assert (value.line, value.column, value.width) == (2, 9, 4)
    assert (key.line, key.column, key.width) == (2, 15, 1)


def test_all_broken_places_of_a_readable_file_are_told() -> None:
    """Tags, merge keys and doubled keys do not hide each other."""
    problems = read_text("a: !x 1\nb: &b {c: 1}\nd: {<<: *b, e: 1, e: 2}\n", Path("x.yaml")).problems
    assert [(each.code, each.line) for each in problems] == [("bad-yaml", 1), ("bad-yaml", 3), ("duplicate-key", 3)]
