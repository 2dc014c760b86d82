"""Reads files into rows: exactly the listed ones, or those that are new since the last load."""

from __future__ import annotations

import fnmatch
import gzip
import json
import os
import stat
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from watcher.errors import SourceError

CHUNK = 5_000  # rows per batch handed to dlt
FILE_COLUMN = "_watcher_file"
"""The column that says which file a row came from, relative to the source's folder; rows of a file are replaced by it."""

Rows = Iterator[list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class FileReading:
    """How rows of files are loaded. `merge` without a key replaces the rows of a file that is read again; empty `columns` are all."""

    table: str
    disposition: str = "merge"
    key: Sequence[str] = ()
    columns: Sequence[str] = ()
    format: str | None = None

    def chosen(self, row: dict[str, Any]) -> dict[str, Any]:
        """The columns to load."""
        wanted = (*self.columns, *self.key) if self.columns else row
        return {name: row[name] for name in wanted if name in row}


@dataclass(frozen=True, slots=True)
class Folder:
    """The files of one source under an absolute `root`. Links below it are not followed and nothing outside of it is read."""

    root: str
    pattern: str
    ignore: Sequence[str] = ()
    done_marker: str | None = None

    def found(self) -> list[Path]:
        """All files now, in order. Raises SourceError when the folder is missing."""
        root = Path(self.root)
        if not root.is_dir():
            raise SourceError(f"there is no folder {_shown(self.root)}", code="source-schema")
        return sorted(
            path for path in root.glob(self.pattern) if self._wanted(path.relative_to(root)) and self._is_own(path)
        )

    def _wanted(self, relative: Path) -> bool:
        if relative.name == self.done_marker or any(
            _ignored(part, rule) for part in _heads(relative) for rule in self.ignore
        ):
            return False
        above = (Path(self.root, folder) for folder in relative.parents)
        return self.done_marker is None or any((folder / self.done_marker).is_file() for folder in above)

    def _is_own(self, path: Path) -> bool:
        """Whether this is a regular file below the root with no link on the way."""
        own = Path(os.path.realpath(self.root), self._relative(path))
        return self._is_below(path) and os.path.realpath(path) == str(own) and _is_regular(path)

    def _is_below(self, path: Path) -> bool:
        return not self._relative(path).startswith(f"..{os.sep}")

    def listed(self, paths: Sequence[str], deleted: Sequence[str] = ()) -> list[Path]:
        """The files that a batch lists. One that is gone is an error, unless the batch has also seen it deleted."""
        gone = frozenset(deleted)
        files = []
        for path in (Path(text) for text in dict.fromkeys(paths)):
            if self._is_own(path):
                files.append(path)
            elif os.path.lexists(path) or not self._is_below(path):
                raise SourceError(f"{_shown(path)} is not a file of {_shown(self.root)}: refused", code="source-answer")
            elif str(path) not in gone:
                raise SourceError(
                    f"{_shown(path)} was in the batch and is gone before it was read", code="source-schema"
                )
        return files

    def _relative(self, path: Path) -> str:
        return os.path.relpath(path, self.root)

    def name_of(self, path: Path) -> str:
        """The path as rows carry it: relative to the root, bytes that are no UTF-8 replaced."""
        return _shown(self._relative(path))


def _heads(relative: Path) -> Iterator[Path]:
    yield relative
    yield from (folder for folder in relative.parents if folder.parts)


def _ignored(path: Path, rule: str) -> bool:
    """A rule without a slash is about a name at any depth, one with a slash about the path from the root on."""
    bare = rule.strip("/")
    return Path("/", path).match(f"/{bare}") if "/" in bare else fnmatch.fnmatchcase(path.name, bare)


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def _shown(path: Path | str) -> str:
    return str(path).encode(errors="surrogateescape").decode(errors="replace")


def file_resource(folder: Folder, files: Sequence[Path] | None, reading: FileReading) -> Any:
    """A dlt resource of all rows of `files`; None reads those that dlt's state does not know yet, by size and time."""
    import dlt

    def rows() -> Rows:
        for path in files if files is not None else _new_files(folder, dlt.current.resource_state()):
            origin = {FILE_COLUMN: folder.name_of(path)}
            for chunk in read_file(path, reading.format):
                yield [reading.chosen(row) | origin for row in chunk]

    hints: dict[str, Any] = {"write_disposition": reading.disposition, "primary_key": list(reading.key) or None}
    if reading.disposition == "merge" and not reading.key:
        hints["merge_key"] = FILE_COLUMN
    return dlt.resource(rows, name=reading.table, **hints)


def _new_files(folder: Folder, state: dict[str, Any]) -> list[Path]:
    known, now = state.get("files", {}), {}
    new = []
    for path in folder.found():
        facts = path.lstat()
        name, seen = folder.name_of(path), f"{facts.st_size}:{facts.st_mtime_ns}"
        now[name] = seen
        if known.get(name) != seen:
            new.append(path)
    state["files"] = now  # dlt stores it together with the rows, or not at all
    return new


def read_file(path: Path, kind: str | None = None) -> Rows:
    """The rows of one file, by `kind` or its extension. Raises SourceError naming file and place, never a value."""
    suffixes = (suffix.lower() for suffix in reversed(path.suffixes))
    kind = f".{kind}" if kind else next((suffix for suffix in suffixes if suffix != ".gz"), "")
    reader = _READERS.get(kind)
    if reader is None:
        known = ", ".join(sorted(_READERS))
        raise SourceError(
            f"{_shown(path)}: nothing reads {kind or 'a file without extension'} (known: {known})", code="source-answer"
        )
    try:
        if path.lstat().st_size:
            yield from reader(path)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{_shown(path)} cannot be read: {type(error).__name__}", code="source-answer") from error


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]


def _json_lines(path: Path) -> Rows:
    rows: list[dict[str, Any]] = []
    with _open(path) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                rows.append(_row(path, _parsed(path, line, f"line {number}"), f"line {number}"))
            if len(rows) >= CHUNK:
                yield rows
                rows = []
    if rows:
        yield rows


def _json(path: Path) -> Rows:
    with _open(path) as file:
        content = _parsed(path, file.read(), "the file")
    items = content if isinstance(content, list) else [content]
    for start in range(0, len(items), CHUNK):
        yield [_row(path, item, f"item {start + n}") for n, item in enumerate(items[start : start + CHUNK], start=1)]


def _parsed(path: Path, text: bytes, place: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise SourceError(f"{_shown(path)}: {place} is not valid JSON", code="source-answer") from error


def _row(path: Path, item: Any, place: str) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise SourceError(f"{_shown(path)}: {place} is not an object", code="source-answer")
    return item


def _csv(path: Path) -> Rows:
    first = True
    for rows in _duckdb(path, "SELECT * FROM read_csv(?, header = true, sample_size = -1)"):
        if first and rows and _is_fallback(rows[0]):
            raise SourceError(f"{_shown(path)}: the rows do not fit the header line", code="source-answer")
        first = False
        yield rows


def _is_fallback(row: dict[str, Any]) -> bool:
    # what DuckDB makes of a file whose lines differ in length: one column named by the whole header line
    return len(row) == 1 and any(sign in next(iter(row)) for sign in ",;\t|")


def _parquet(path: Path) -> Rows:
    return _duckdb(path, "SELECT * FROM read_parquet(?)")


def _duckdb(path: Path, query: str) -> Rows:
    import duckdb

    with TemporaryDirectory(prefix="watcher-") as folder:
        # a plain name: DuckDB takes brackets and stars for patterns, and only UTF-8
        link = Path(folder) / ("file.gz" if path.suffix.lower() == ".gz" else "file")
        link.symlink_to(path.absolute())
        with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
            try:
                cursor = connection.execute(query, [str(link)])
                names = [column[0] for column in cursor.description or ()]
                while rows := cursor.fetchmany(CHUNK):
                    yield [dict(zip(names, row, strict=True)) for row in rows]
            except duckdb.Error as error:
                place = str(error).splitlines()[0].replace(str(link), _shown(path))
                raise SourceError(f"{_shown(path)}: {place}", code="source-answer") from error


_READERS: Mapping[str, Callable[[Path], Rows]] = {
    ".csv": _csv,
    ".tsv": _csv,
    ".json": _json,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
}
