"""Pipeline files for tests, and short ways to look at what was loaded."""

from __future__ import annotations

from pathlib import Path

from watcher.pipeline.load import Loaded
from watcher.pipeline.model import Pipeline

EXAMPLES = Path(__file__).parent / "examples"
ORDERS = """\
name: orders
sources:
  - source_id: orders_db
    source_type: database
    connection: shop_db
    table: public.orders
    watch: {column: updated_at}
trigger: {changes: 10, max_wait: 5m}
"""


def write(folder: Path, **files: str) -> Path:
    """Files of a pipelines folder; `__` inside a name is a folder, `.yaml` is added."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def only(loaded: Loaded) -> Pipeline:
    """The one pipeline of a folder without problems."""
    assert [problem.render() for problem in loaded.errors] == []
    assert len(loaded.pipelines) == 1
    return loaded.pipelines[0].pipeline


def codes(loaded: Loaded) -> list[str]:
    """The codes of all errors, in order."""
    return [problem.code for problem in loaded.errors]
