"""The promises every detector keeps, as one suite: a detector's own test file derives from `DetectorConformance` and gives a `Case`."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Literal

import pytest

from watcher.detection import Cursor, Detection, Detector, FileChange, Inventory, Known, Operation, Range
from watcher.errors import SourceError

StartFrom = Literal["now", "beginning"]
LIMIT = 1_000
LOOKS = 200
"""A source that still answers `more` after so many looks never ends."""


class Case(ABC):
    """One real source, and the detector that watches it. The source holds `existing` things before the first look."""

    existing: int = 3
    counts_each: bool = True
    """False for a detector that only says "it differs": any number of changes between two looks counts 1."""
    limited: bool = True
    """False when an answer can never hold more than one change."""

    @abstractmethod
    async def make(self, start_from: StartFrom = "now") -> Detector:
        """A new detector instance with no memory of earlier ones; the suite closes it."""

    @abstractmethod
    async def change(self, n: int) -> None:
        """Make n changes, each of which the detector counts once, all complete on return."""

    @abstractmethod
    async def break_source(self) -> str:
        """Take the source away; the code of the SourceError that a look then raises."""

    @abstractmethod
    async def mend_source(self) -> None:
        """Bring it back with everything it held."""

    async def unchanged(self) -> None:
        """Touch the source in a way that is no change, where there is one."""
        return

    async def mark(self, detector: Detector) -> None:
        """Called before each look; for a source that needs time to be told (a settled file) it waits on that fact."""
        return

    def counted(self, n: int) -> int:
        """How many changes n things make between two looks."""
        return n if self.counts_each else min(n, 1)


@dataclass(slots=True)
class Remembered:
    """The inventory as a detector gets it."""

    entries: dict[str, Known]

    async def read(self) -> dict[str, Known]:
        return dict(self.entries)


@dataclass(slots=True)
class Keeper:
    """Keeps what a store keeps for one source, in memory: cursor by compare and set, inventory, totals."""

    cursor: Cursor | None = None
    revision: int = 0
    entries: dict[str, Known] = field(default_factory=dict)
    changes: int = 0
    bytes: int = 0
    filtered: int = 0
    repeated: int = 0
    operations: Counter[Operation] = field(default_factory=Counter)
    files: list[FileChange] = field(default_factory=list)
    ranges: list[Range] = field(default_factory=list)
    writes: int = 0
    """How many answers held something to store."""

    @property
    def inventory(self) -> Inventory:
        return Remembered(self.entries)

    def record(self, detection: Detection, revision: int) -> bool:
        """Apply one answer, all or nothing; False when the cursor moved since the look began."""
        if revision != self.revision:
            return False
        same = self.cursor is not None and dict(detection.cursor) == dict(self.cursor)
        if same and not detection.changes and detection.inventory.empty:
            return True
        self.cursor, self.revision, self.writes = detection.cursor, self.revision + 1, self.writes + 1
        change = detection.inventory
        dropped = set(change.drop)
        kept = {**self.entries, **change.put}
        self.entries = {
            key: known
            for key, known in kept.items()
            if key not in dropped and (change.drop_below is None or known.rank >= change.drop_below)
        }
        self.changes += detection.changes
        self.bytes += detection.bytes
        self.filtered += detection.filtered
        self.repeated += detection.repeated
        self.operations.update(detection.operations)
        self.files.extend(detection.files)
        if detection.range is not None:
            self.ranges.append(detection.range)
        return True

    async def look(self, detector: Detector, limit: int = LIMIT) -> Detection:
        """One look, stored."""
        revision = self.revision
        detection = await detector.detect(self.cursor, self.inventory, limit)
        assert detection.changes <= limit, f"{detection.changes} changes with a limit of {limit}"
        assert self.record(detection, revision)
        return detection

    async def drain(self, detector: Detector, limit: int = LIMIT) -> int:
        """Looks until nothing more is announced; the changes they found."""
        before = self.changes
        for _ in range(LOOKS):
            if not (await self.look(detector, limit)).more:
                return self.changes - before
        raise AssertionError(f"still more after {LOOKS} looks")


class DetectorConformance:
    """Derive, and give a fixture `case`. Everything runs on the real source of that case."""

    @pytest.fixture
    def keeper(self) -> Keeper:
        return Keeper()

    @pytest.fixture
    async def detector(self, case: Case) -> AsyncIterator[Detector]:
        made = await case.make()
        yield made
        await made.close()

    async def looked(self, case: Case, keeper: Keeper, detector: Detector, limit: int = LIMIT) -> int:
        await case.mark(detector)
        return await keeper.drain(detector, limit)

    async def test_from_now_the_past_counts_nothing(self, case: Case, keeper: Keeper, detector: Detector) -> None:
        """The first look with start_from now counts nothing and takes a cursor."""
        assert await self.looked(case, keeper, detector) == 0
        assert keeper.cursor is not None

    async def test_from_the_beginning_all_counts(self, case: Case, keeper: Keeper) -> None:
        """The first look with start_from beginning counts what is there, once."""
        detector = await case.make("beginning")
        try:
            assert await self.looked(case, keeper, detector) == case.counted(case.existing)
            assert await self.looked(case, keeper, detector) == 0
        finally:
            await detector.close()

    async def test_nothing_new_is_nothing(self, case: Case, keeper: Keeper, detector: Detector) -> None:
        """Looks at a quiet source count nothing, and soon store nothing."""
        await self.looked(case, keeper, detector)
        await case.unchanged()
        for _ in range(3):
            assert await self.looked(case, keeper, detector) == 0
        writes = keeper.writes
        assert await self.looked(case, keeper, detector) == 0
        assert keeper.writes == writes

    async def test_new_is_counted_once(self, case: Case, keeper: Keeper, detector: Detector) -> None:
        """A change is counted by one look and by none after it."""
        await self.looked(case, keeper, detector)
        for n in (1, 5, 2):
            await case.change(n)
            assert await self.looked(case, keeper, detector) == case.counted(n)
            assert await self.looked(case, keeper, detector) == 0
        assert sum(keeper.operations.values()) == keeper.changes

    async def test_a_restart_finds_what_changed_meanwhile(self, case: Case, keeper: Keeper, detector: Detector) -> None:
        """A new instance goes on from the stored cursor: what changed while nobody looked is found, nothing is doubled."""
        await self.looked(case, keeper, detector)
        await case.change(2)
        assert await self.looked(case, keeper, detector) == case.counted(2)
        await detector.close()
        await case.change(4)
        again = await case.make()
        try:
            assert await self.looked(case, keeper, again) == case.counted(4)
            assert await self.looked(case, keeper, again) == 0
        finally:
            await again.close()

    async def test_the_same_cursor_twice_gives_the_same_answer(
        self, case: Case, keeper: Keeper, detector: Detector
    ) -> None:
        """An answer that was never stored is given again, by the same instance and by a new one."""
        await self.looked(case, keeper, detector)
        await case.change(3)
        await case.mark(detector)
        lost = await detector.detect(keeper.cursor, keeper.inventory, LIMIT)
        again = await detector.detect(keeper.cursor, keeper.inventory, LIMIT)
        other = await case.make()
        try:
            await case.mark(other)
            fresh = await other.detect(keeper.cursor, keeper.inventory, LIMIT)
        finally:
            await other.close()
        facts = [(d.changes, dict(d.operations), set(d.files), d.range) for d in (lost, again, fresh)]
        assert facts[0][0] == case.counted(3)
        assert facts[1] == facts[0]
        assert facts[2] == facts[0]
        assert await self.looked(case, keeper, detector) == case.counted(3)
        assert await self.looked(case, keeper, detector) == 0

    async def test_an_answer_that_lost_the_race_changes_nothing(
        self, case: Case, keeper: Keeper, detector: Detector
    ) -> None:
        """When another look was stored first, the loser's answer is thrown away and its next look is right."""
        await self.looked(case, keeper, detector)
        await case.change(2)
        other = await case.make()
        try:
            await case.mark(detector)
            revision, late = keeper.revision, await detector.detect(keeper.cursor, keeper.inventory, LIMIT)
            await case.change(3)
            won = await self.looked(case, keeper, other)
            assert won == case.counted(5)
            assert not keeper.record(late, revision)
            assert await self.looked(case, keeper, detector) == 0
            await case.change(1)
            assert await self.looked(case, keeper, detector) == 1
        finally:
            await other.close()

    async def test_a_cancelled_look_loses_and_doubles_nothing(
        self, case: Case, keeper: Keeper, detector: Detector
    ) -> None:
        """A look cancelled at any await leaves the detector able to look again from the same cursor."""
        await self.looked(case, keeper, detector)
        await case.change(4)
        await case.mark(detector)
        for turns in (0, 1, 2, 3, 5, 8, 13, 21):
            look = asyncio.create_task(detector.detect(keeper.cursor, keeper.inventory, LIMIT))
            for _ in range(turns):
                await asyncio.sleep(0)
            look.cancel()
            await asyncio.wait([look])
        assert await self.looked(case, keeper, detector) == case.counted(4)
        assert await self.looked(case, keeper, detector) == 0

    async def test_the_limit_holds_and_more_is_announced(self, case: Case, keeper: Keeper, detector: Detector) -> None:
        """An answer holds at most `limit` changes, says that there is more, and the looks after it give the rest."""
        if not case.limited:
            await self.looked(case, keeper, detector)
            await case.change(7)
            assert await self.looked(case, keeper, detector, limit=1) == 1
            return
        await self.looked(case, keeper, detector)
        await case.change(7)
        await case.mark(detector)
        first = await keeper.look(detector, limit=3)
        assert (first.changes, first.more) == (3, True)
        assert await self.looked(case, keeper, detector, limit=3) == 4
        assert await self.looked(case, keeper, detector, limit=3) == 0

    async def test_the_limit_holds_from_the_beginning(self, case: Case, keeper: Keeper) -> None:
        """A long past comes in pieces of at most `limit`, each from a new instance."""
        found = 0
        for _ in range(LOOKS):
            detector = await case.make("beginning")
            try:
                await case.mark(detector)
                answer = await keeper.look(detector, limit=1)
            finally:
                await detector.close()
            found += answer.changes
            if not answer.more:
                break
        assert found == case.counted(case.existing)

    async def test_a_source_that_is_away_and_back(self, case: Case, keeper: Keeper, detector: Detector) -> None:
        """While the source is away a look raises a SourceError with its code; when it is back nothing is missing."""
        await self.looked(case, keeper, detector)
        await case.change(2)
        code = await case.break_source()
        before = keeper.cursor
        for _ in range(2):
            with pytest.raises(SourceError) as caught:
                await detector.detect(keeper.cursor, keeper.inventory, LIMIT)
            assert caught.value.code == code
        assert keeper.cursor == before
        await case.mend_source()
        assert await self.looked(case, keeper, detector) == case.counted(2)

    async def test_closing_twice_is_harmless(self, case: Case, keeper: Keeper) -> None:
        """close() may be called twice, before any look too."""
        unused = await case.make()
        await unused.close()
        await unused.close()
        used = await case.make()
        await self.looked(case, keeper, used)
        await used.close()
        await used.close()

    async def test_hints_can_be_cancelled(self, case: Case, detector: Detector) -> None:
        """Waiting for a hint ends when it is cancelled, or by itself where the source gives none."""

        async def wait() -> None:
            async for _ in detector.hints():
                pass

        waiting = asyncio.create_task(wait())
        await asyncio.wait([waiting], timeout=0.2)
        waiting.cancel()
        done, _ = await asyncio.wait([waiting], timeout=5)
        assert done
        assert waiting.cancelled() or waiting.exception() is None
