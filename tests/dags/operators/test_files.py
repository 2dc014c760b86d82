"""Which files count and how each kind is read; nothing outside of the source's folder ever is."""

from __future__ import annotations

import gzip
from pathlib import Path

import duckdb
import pytest

from watcher.dags.operators.files import FileReading, Folder, read_file
from watcher.errors import SourceError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "landing"
    (root / "a" / "b").mkdir(parents=True)
    for name in ("top.csv", "a/one.csv", "a/b/two.csv", "a/skip.tmp", ".hidden.csv", "a/b/note.txt"):
        (root / name).write_text("id\n1\n")
    return root


def found(
    root: Path, pattern: str = "**/*.csv", ignore: tuple[str, ...] = (".*",), marker: str | None = None
) -> list[str]:
    return [path.relative_to(root).as_posix() for path in Folder(str(root), pattern, ignore, marker).found()]


def test_pattern_and_ignore(root: Path) -> None:
    """`pattern` is about the whole path; `ignore` without a slash about any name on it, with one about the path."""
    assert found(root) == ["a/b/two.csv", "a/one.csv", "top.csv"]
    assert found(root, "*.csv") == ["top.csv"]
    assert found(root, "**/*", ("*.tmp", ".*", "b")) == ["a/one.csv", "top.csv"]
    assert found(root, ignore=(".*", "a/b")) == ["a/one.csv", "top.csv"]


def test_done_marker(root: Path) -> None:
    """With a marker only what lies in or below a marked folder counts, and the marker itself never."""
    assert found(root, "**/*", (".*",), "_SUCCESS") == []
    (root / "a" / "b" / "_SUCCESS").touch()

    assert found(root, "**/*", (".*",), "_SUCCESS") == ["a/b/note.txt", "a/b/two.csv"]


def test_links_are_not_followed(root: Path, tmp_path: Path) -> None:
    """A link below the root is never read, whether found or listed, whether to a file or to a folder."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.csv").write_text("id\n1\n")
    (root / "link.csv").symlink_to(outside / "secret.csv")
    (root / "folder").symlink_to(outside)

    assert found(root) == ["a/b/two.csv", "a/one.csv", "top.csv"]
    assert found(root, "folder/*.csv") == []
    for listed in (root / "link.csv", root / "folder" / "secret.csv"):
        with pytest.raises(SourceError, match="refused"):
            Folder(str(root), "**/*").listed([str(listed)])


@pytest.mark.parametrize("listed", ["/etc/passwd", "{root}/../outside.csv", "{root}/a", "{root}"])
def test_nothing_else_is_read(root: Path, listed: str) -> None:
    """A listed path outside of the root, or one that is no regular file, is refused: a conf may come from anybody."""
    (root.parent / "outside.csv").write_text("id\n1\n")

    with pytest.raises(SourceError, match="refused"):
        Folder(str(root), "**/*").listed([listed.format(root=root)])


def test_root_behind_a_link(root: Path, tmp_path: Path) -> None:
    """The root itself may be reached through a link, as mounts often are."""
    (tmp_path / "mount").symlink_to(root)
    folder = Folder(str(tmp_path / "mount"), "**/*.csv", (".*",))

    assert len(folder.found()) == 3
    assert folder.listed([str(tmp_path / "mount" / "top.csv")]) == [tmp_path / "mount" / "top.csv"]


def test_missing_root(tmp_path: Path) -> None:
    """A folder that is not there is an error, not an empty load."""
    with pytest.raises(SourceError, match="there is no folder"):
        Folder(str(tmp_path / "nowhere"), "**/*").found()


def rows(path: Path, kind: str | None = None) -> list[dict[str, object]]:
    return [row for chunk in read_file(path, kind) for row in chunk]


def test_kinds(tmp_path: Path) -> None:
    """csv, tsv, json, jsonl, ndjson and parquet are told by their extension, compressed with gzip or not."""
    row = {"id": 1, "name": "é"}
    texts = {"a.csv": "id,name\n1,é\n", "a.TSV": "id\tname\n1\té\n", "a.json": '{"id": 1, "name": "é"}'}
    texts |= {"a.jsonl": '{"id": 1, "name": "é"}\n', "a.ndjson": '{"id": 1, "name": "é"}'}
    for name, text in texts.items():
        (tmp_path / name).write_text(text, "utf-8")
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
        assert rows(tmp_path / name) == rows(tmp_path / f"{name}.gz") == [row], name
    duckdb.sql(f"copy (select 1 as id, 'é' as name) to '{tmp_path / 'a.parquet'}' (format parquet)")
    assert rows(tmp_path / "a.parquet") == [row]


def test_kind_given(tmp_path: Path) -> None:
    """`format` reads files whose names do not tell."""
    (tmp_path / "export").write_text('{"id": 1}\n')

    assert rows(tmp_path / "export", "jsonl") == [{"id": 1}]
    with pytest.raises(SourceError, match="nothing reads a file without extension"):
        rows(tmp_path / "export")


@pytest.mark.parametrize("name", ["a[1]*?.csv", "a'b\".csv", "a b.csv", "caf\udce9.csv", "line\nbreak.csv"])
def test_any_name(tmp_path: Path, name: str) -> None:
    """Any name that the file system takes is read as that file, and shown as text."""
    path = tmp_path / name
    path.write_text("id\n1\n")

    assert rows(path) == [{"id": 1}]
    assert Folder(str(tmp_path), "**/*").name_of(path).encode()


def test_leading_zeros_stay(tmp_path: Path) -> None:
    """A column of digits with leading zeros is text, as codes are."""
    (tmp_path / "a.csv").write_text("zip,n\n01234,7\n00001,8\n")

    assert rows(tmp_path / "a.csv") == [{"zip": "01234", "n": 7}, {"zip": "00001", "n": 8}]


def test_empty_files(tmp_path: Path) -> None:
    """An empty file, or one with a header line alone, has no rows and is no error."""
    (tmp_path / "empty.csv").touch()
    (tmp_path / "header.csv").write_text("id,name\n")

    assert rows(tmp_path / "empty.csv") == rows(tmp_path / "header.csv") == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("torn.csv", b"id,name\n1,hunter2,3\n1,2\n", "rows do not fit the header"),
        ("a.json", b'{"id": hunter2', "the file is not valid JSON"),
        ("a.json", b"[1]", "item 1 is not an object"),
        ("a.jsonl", b'{"id": 1}\n"hunter2"\n', "line 2 is not an object"),
        ("a.jsonl.gz", b"hunter2", "cannot be read"),
        ("a.parquet", b"hunter2", "a.parquet"),
        ("a.xlsx", b"hunter2", r"nothing reads \.xlsx"),
    ],
    ids=range(7),
)
def test_bad_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    """A file that is not what its name says is an error with its name and place, and never with its content."""
    (tmp_path / name).write_bytes(content)

    with pytest.raises(SourceError, match=message) as caught:
        rows(tmp_path / name)

    assert name in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.code == "source-answer"


def test_chosen_columns() -> None:
    """`columns` keeps those and the key; a row without one of them is kept as it is."""
    reading = FileReading("t", key=("id",), columns=("name",))

    assert reading.chosen({"id": 1, "name": "x", "other": 2}) == {"id": 1, "name": "x"}
    assert reading.chosen({"id": 1}) == {"id": 1}


def test_unreadable_file(root: Path) -> None:
    """The reader's own error names the file when it vanishes between the list and the read."""
    path = root / "top.csv"
    path.unlink()

    with pytest.raises(SourceError, match=r"top\.csv cannot be read: FileNotFoundError"):
        rows(path)
