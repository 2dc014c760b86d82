"""The answer of a look while it is being made: what counts, what is left out, and what the inventory becomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from watcher.detection import FileChange, InventoryChange, Known, Operation


@dataclass(slots=True)
class Tally:
    """`prefix` is put before each key to make an absolute path, percent-encoded as the keys are."""

    prefix: str
    wanted: frozenset[Operation]
    operations: Counter[Operation] = field(default_factory=Counter)
    files: list[FileChange] = field(default_factory=list)
    filtered: int = 0
    earliest: float | None = None
    latest: float | None = None
    put: dict[str, str] = field(default_factory=dict)
    drop: list[str] = field(default_factory=list)

    def count(self, key: str, operation: Operation, size: int, since: float) -> None:
        """One change, seen at `since` (monotonic seconds) first; one that nobody wants is only summed."""
        if operation not in self.wanted:
            self.filtered += 1
            return
        self.operations[operation] += 1
        self.files.append(FileChange(self.prefix + key, operation, size))
        self.earliest = since if self.earliest is None else min(since, self.earliest)
        self.latest = since if self.latest is None else max(since, self.latest)

    @property
    def bytes(self) -> int:
        """The sizes of the inserted and updated files; a deleted file adds nothing."""
        return sum(file.bytes for file in self.files)

    def known_after(self, known: Mapping[str, str]) -> Mapping[str, str]:
        """The inventory once this answer is stored."""
        if not self.put and not self.drop:
            return known
        gone = set(self.drop)
        return {key: entry for key, entry in known.items() if key not in gone} | self.put

    def inventory_change(self) -> InventoryChange:
        """The same for the store."""
        put = {key: Known(entry) for key, entry in self.put.items()}
        return InventoryChange(put=put, drop=tuple(self.drop))

    def digest(self, before: str) -> str:
        """Hex digits that stand for this change of the inventory and all before it, `before` being those of the last one."""
        content = blake2b(before.encode(), digest_size=6)
        for key, entry in self.put.items():
            content.update(f"+{key} {entry}\n".encode())
        for key in self.drop:
            content.update(f"-{key}\n".encode())
        return content.hexdigest()
