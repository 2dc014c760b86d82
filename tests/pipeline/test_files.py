"""Which files are read, and which are refused before they are opened."""

from __future__ import annotations

import os
from pathlib import Path

from tests.pipeline.files import ORDERS, codes, write
from watcher.pipeline.load import load


def test_files_below_are_found_and_private_ones_are_not(tmp_path: Path) -> None:
    """Subfolders are scanned; what begins with `_` or `.`, or is no YAML, is no pipeline."""
    folder = write(tmp_path, team__a=ORDERS, _draft=ORDERS, team___b=ORDERS, _old__c=ORDERS)
    (tmp_path / ".hidden.yaml").write_text(ORDERS)
    (tmp_path / "notes.txt").write_text("no")
    (tmp_path / "b.yml").write_text(ORDERS.replace("name: orders", "name: b"))
    loaded = load(folder, variables={})
    assert sorted(file.path.name for file in loaded.pipelines) == ["a.yaml", "b.yml"]
    assert loaded.files == 2


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    """A file is read only when it really lies in the folder; a link inside of it, as Kubernetes makes them, is fine."""
    (tmp_path / "outside.yaml").write_text(ORDERS)
    folder = tmp_path / "pipelines"
    write(folder, __data__real=ORDERS)
    (folder / "..data").mkdir(parents=True)
    (folder / "..data" / "orders.yaml").write_text(ORDERS)
    (folder / "a.yaml").symlink_to("..data/orders.yaml")
    (folder / "b.yaml").symlink_to("../outside.yaml")
    (folder / "c.yaml").symlink_to("nowhere.yaml")
    loaded = load(folder, variables={})
    assert [file.path.name for file in loaded.pipelines] == ["a.yaml"]
    assert [(each.path.name, each.code) for each in loaded.errors] == [
        ("b.yaml", "unreadable-file"),
        ("c.yaml", "unreadable-file"),
    ]


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    """A FIFO would block for ever; it is refused at once."""
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    assert codes(load(tmp_path, variables={})) == ["unreadable-file"]


def test_a_missing_folder_is_a_problem_not_an_exception(tmp_path: Path) -> None:
    """There is nothing to load, and it says so."""
    loaded = load(tmp_path / "nowhere", variables={})
    assert codes(loaded) == ["unreadable-file"]
    assert loaded.files == 0
