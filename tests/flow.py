"""Short ways to the states that tests of the services begin with."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from watcher.decide import OPEN, decide
from watcher.detection import Detection
from watcher.pipeline.model import Pipeline
from watcher.store import Store, batches, looks
from watcher.store.batches import Batch


def pipeline(trigger: dict[str, Any] | None = None, **keys: Any) -> Pipeline:
    """A pipeline `orders` that watches one folder."""
    source = {"source_id": "files", "source_type": "filesystem", "path": "/data", "watch": {}}
    keys = {"name": "orders", "sources": [source], "trigger": trigger or {"changes": 1}} | keys
    return Pipeline.model_validate(keys)


async def found(store: Store, changes: int, now: datetime, *, pipeline: str = "orders", source: str = "files") -> None:
    """A look that found so many changes, stored."""
    state = await looks.load(store, pipeline, source, "test", now)
    counted = 0 if state.cursor is None else state.cursor["counted"]
    assert isinstance(counted, int)
    detection = Detection({"counted": counted + changes}, changes=changes, operations={"unknown": changes})
    assert await looks.record(store, state, detection, now) is not None


async def fired(store: Store, changes: int, now: datetime, *, name: str = "orders") -> Batch:
    """A batch of so many changes, ready to be sent."""
    await found(store, changes, now, pipeline=name)
    trigger = pipeline({"changes": 1, "while_running": "parallel"}).trigger
    assert trigger is not None
    made = await batches.fire(store, name, name, None, lambda pending: decide(trigger, pending, OPEN, now), now)
    assert made.batch is not None
    return made.batch
