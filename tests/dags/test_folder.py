"""Files of the pipelines folder that a task reads."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from watcher.dags.folder import LARGEST, text_of
from watcher.errors import ConfigError

NEAR = Path("/nowhere/at/all/dags.py")


def test_a_file_of_the_folder(pipelines: Path) -> None:
    """A file is found by its path in the folder, below it too."""
    (pipelines / "sql").mkdir()
    (pipelines / "sql" / "a.sql").write_text("select 'é'", "utf-8")

    assert text_of(NEAR, "sql/a.sql") == text_of(NEAR, "sql/../sql/a.sql") == "select 'é'"


@pytest.mark.parametrize("name", ["../secret.sql", "/etc/passwd", "link.sql", "folder/secret.sql"])
def test_nothing_outside(pipelines: Path, name: str) -> None:
    """Neither dots nor an absolute path nor a link leads out of the folder."""
    outside = pipelines.parent / "elsewhere"
    outside.mkdir()
    for path in (pipelines.parent / "secret.sql", outside / "secret.sql"):
        path.write_text("canary", "utf-8")
    (pipelines / "link.sql").symlink_to(pipelines.parent / "secret.sql")
    (pipelines / "folder").symlink_to(outside)

    with pytest.raises(ConfigError, match="is not inside of the pipelines folder") as caught:
        text_of(NEAR, name)
    assert caught.value.code == "unreadable-file"


def test_only_texts(pipelines: Path) -> None:
    """What is no regular file, not there, too large or no text is refused; a pipe does not hang the task."""
    os.mkfifo(pipelines / "pipe.sql")
    (pipelines / "large.sql").write_bytes(b" " * (LARGEST + 1))
    (pipelines / "bytes.sql").write_bytes(b"\xff\xfe")

    for name in ("pipe.sql", "none.sql", "large.sql", "bytes.sql", "."):
        with pytest.raises(ConfigError) as caught:
            text_of(NEAR, name)
        assert caught.value.code == "unreadable-file"


def test_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a pipelines folder the variable that names it is told."""
    monkeypatch.delenv("WATCHER__PIPELINES", raising=False)
    with pytest.raises(ConfigError, match="set WATCHER__PIPELINES"):
        text_of(NEAR, "a.sql")
