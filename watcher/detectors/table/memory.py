"""The inventory between two looks of one detector instance: kept only while it is surely what the store holds."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from watcher.detection import Cursor, Inventory, InventoryChange, Json, Known


def sealed(cursor: Mapping[str, Json]) -> dict[str, Json]:
    """The cursor with a random seal: who is handed it back knows that this very answer was stored, and no equal one."""
    return {**cursor, "seal": secrets.token_hex(8)}


@dataclass(slots=True)
class Memory:
    """Reads the inventory again whenever the cursor is not the one of the own last answer."""

    _cursor: Cursor | None = None
    _entries: dict[str, Known] = field(default_factory=dict)

    async def entries(self, cursor: Cursor | None, inventory: Inventory) -> dict[str, Known]:
        """The inventory that belongs to this cursor; not to be changed."""
        if cursor is None:
            self._cursor, self._entries = None, {}
        elif self._cursor is None or dict(cursor) != dict(self._cursor):
            entries = await inventory.read()
            self._cursor, self._entries = cursor, entries
        return self._entries

    def answered(self, cursor: Cursor, change: InventoryChange) -> None:
        """Take over what the store will hold when it takes this answer. There is no await between this and the answer."""
        entries, self._cursor = self._entries, cursor
        entries.update(change.put)
        for key in change.drop:
            entries.pop(key, None)
        if change.drop_below is not None:
            low = change.drop_below
            entries = {key: known for key, known in entries.items() if known.rank >= low}
        self._entries = entries
