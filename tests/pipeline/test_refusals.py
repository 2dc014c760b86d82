"""Suggestions: what a typo was probably meant to be."""

from __future__ import annotations

import random
from pathlib import Path

from tests.pipeline.files import EXAMPLES
from watcher.pipeline.load import load_file
from watcher.pipeline.reader import read_file
from watcher.pipeline.refusals import keys_at
from watcher.pipeline.tree import Fields, Items, Tree, Way

FREE = ("conf", "options", "params", "environments", "dependencies")


def keys(tree: Tree, way: Way = ()) -> list[tuple[str, int, int]]:
    """Every key that the models know, with its line and column."""
    if isinstance(tree, Items):
        return [found for place, item in enumerate(tree.items) for found in keys(item, (*way, place))]
    if not isinstance(tree, Fields):
        return []
    found = [(key, entry.place.line, entry.place.column) for key, entry in tree.entries.items() if len(key) > 3]
    deeper = [(key, entry.value) for key, entry in tree.entries.items() if key not in FREE]
    return found + [each for key, value in deeper for each in keys(value, (*way, key))]


def misspelled(word: str, chance: random.Random) -> str:
    """One letter left out, doubled, swapped with the next, or another one."""
    place = chance.randrange(1, len(word) - 1)
    kind = chance.randrange(4)
    if kind == 0:
        return word[:place] + word[place + 1 :]
    if kind == 1:
        return word[:place] + word[place] + word[place:]
    if kind == 2 and word[place] != word[place + 1]:
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    return word[:place] + "q" + word[place + 1 :]


def test_nine_of_ten_typos_are_understood(tmp_path: Path) -> None:
    """Each misspelled key gets its file, line and column, and at least 90 of 100 get the right suggestion."""
    chance = random.Random(7)
    right = told = 0
    for number in range(100):
        path = chance.choice(sorted(EXAMPLES.glob("*.yaml")))
        tree = read_file(path, path).tree
        assert tree is not None
        key, line, column = chance.choice(keys(tree))
        lines = path.read_text("utf-8").split("\n")
        typo = misspelled(key, chance)
        lines[line - 1] = lines[line - 1][: column - 1] + typo + lines[line - 1][column - 1 + len(key) :]
        broken = tmp_path / f"{number}.yaml"
        broken.write_text("\n".join(lines), "utf-8")
        problems = load_file(broken, variables={}, availability=False).errors
        here = [problem for problem in problems if (problem.line, problem.column) == (line, column)]
        told += bool(here)
        right += any(f'"{key}"' in problem.hint for problem in here)
    assert told == 100
    assert right >= 90


def test_the_keys_of_every_mapping_are_known() -> None:
    """The suggestions come from the models themselves, through lists, unions and branches of branches."""
    assert {"name", "sources", "trigger", "environments", "schedule_interval"} <= keys_at(())
    assert {"source", "changes", "any"} <= keys_at(("trigger", "any", 0, "all", 1))
    assert "column" in keys_at(("sources", 0, "database", "watch", "timestamp"))
    assert "column" not in keys_at(("sources", 0, "database", "watch", "polling"))
    assert keys_at(("retries",)) == {"ingest", "transform", "validate", "snowflake"}
    assert {"endpoint", "url"} <= keys_at(("sources", 0, "api"))
