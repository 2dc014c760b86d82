"""One source: look, and store what was found together with the new cursor; a failing source delays nobody else."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from watcher import events
from watcher.detection import Detection, Detector
from watcher.errors import SourceError, WatcherError
from watcher.pipeline.model import Source
from watcher.pipeline.watches import FilesystemWatch
from watcher.store import Store, looks
from watcher.store.looks import SourceState, StoredInventory

LOOK_LIMIT = 50_000
"""Changes one look may answer; the rest comes with the next one at once. Bounds memory and the store's transaction."""

FIRST_BACKOFF, LONGEST_BACKOFF = timedelta(seconds=1), timedelta(minutes=5)
REST_AFTER_LOOK = 4.0
"""After a look of T seconds hints wait 4 T, so that hints alone never keep a source busy for more than a fifth of the time."""

JITTER = 0.1
HINTS_PAUSE = 1.0
"""Seconds before hints that broke off are listened to again; it doubles."""


@dataclass(frozen=True, slots=True)
class LookOptions:
    """What a look works on. `kind` is the identity text of what is watched; `limit` the most changes per look."""

    pipeline: str
    source: Source
    kind: str
    limit: int = LOOK_LIMIT


class Look:
    """The service of one source. `step` is one look; `follow_hints` shortens the pause between two of them."""

    def __init__(self, options: LookOptions, detector: Detector, store: Store, recorded: Callable[[], None]) -> None:
        self._pipeline, self._source = options.pipeline, options.source.source_id
        self._options, self._detector, self._store, self._recorded = options, detector, store, recorded
        assert options.source.watch is not None  # noqa: S101 - only watched sources are looked at
        self._watch = options.source.watch
        self._state: SourceState | None = None
        self._rest_until = 0.0
        self._metric_kind = f"{options.source.source_type}/{self._watch.method}"
        events.look_interval_set(self._pipeline, self._source, self._interval.total_seconds())

    @property
    def name(self) -> str:
        return f"{self._pipeline}/{self._source}"

    @property
    def _interval(self) -> timedelta:
        # where the kernel's events wake us the full scan is only the repair of lost ones
        if isinstance(self._watch, FilesystemWatch) and self._watch.method == "notify":
            return self._watch.rescan
        return self._watch.interval

    async def step(self, now: datetime) -> float:
        """One look at `now`; answers the seconds until the next. Raises StoreError when the store cannot take it."""
        state = self._state or await looks.load(self._store, self._pipeline, self._source, self._options.kind, now)
        self._state = state
        clock = asyncio.get_running_loop().time
        begun = clock()
        try:
            detection = await self._detect(state)
            return await self._stored(state, detection, clock() - begun, now)
        except SourceError as error:
            return await self._failed(state, error, now)
        finally:
            self._rest_until = clock() + REST_AFTER_LOOK * (clock() - begun)

    async def follow_hints(self, wake: Callable[[], None]) -> None:
        """Wakes the loop for each hint of the detector, resting after long looks. Ends when the detector gives none."""
        failures = 0
        while True:
            try:
                async for _ in self._detector.hints():
                    failures = 0
                    await asyncio.sleep(max(0.0, self._rest_until - asyncio.get_running_loop().time()))
                    wake()
                return
            except Exception as error:  # noqa: BLE001 - hints only shorten the wait: without them the interval does
                failures += 1
                events.hints_failed(self._pipeline, self._source, error, count=failures)
            await asyncio.sleep(min(HINTS_PAUSE * 2.0 ** min(failures, 6), LONGEST_BACKOFF.total_seconds()))

    async def close(self) -> None:
        """Give the detector's connections and threads back."""
        await self._detector.close()

    async def _detect(self, state: SourceState) -> Detection:
        inventory = StoredInventory(self._store, self._pipeline, self._source)
        try:
            async with asyncio.timeout(self._watch.timeout.total_seconds()):
                return await self._detector.detect(state.cursor, inventory, self._options.limit)
        except TimeoutError as error:
            seconds = self._watch.timeout.total_seconds()
            raise SourceError(f"no answer within {seconds:.0f} s", code="source-slow") from error
        except WatcherError:
            raise
        except Exception as error:
            raise SourceError(f"the detector raised {type(error).__name__}", code="detector-failed") from error

    async def _stored(self, state: SourceState, detection: Detection, seconds: float, now: datetime) -> float:
        after = await looks.record(self._store, state, detection, now)
        if after is None:  # somebody moved the cursor meanwhile: this look counts for nothing, begin again from theirs
            self._state = None
            events.look_ended(self._pipeline, self._source, self._metric_kind, detection=None, seconds=seconds, now=now)
            return 0.0
        if state.failures:
            after = await looks.mark_recovered(self._store, after, now)
            events.look_recovered(self._pipeline, self._source, failures=state.failures, since=state.failing_since)
        self._state = after
        events.look_ended(
            self._pipeline, self._source, self._metric_kind, detection=detection, seconds=seconds, now=now
        )
        if state.cursor is None:
            events.first_look_done(self._pipeline, self._source, detection, seconds=seconds)
        if detection.changes:
            events.detection_recorded(self._pipeline, self._source, detection, now=now)
            self._recorded()
        return self._pause(detection)

    def _pause(self, detection: Detection) -> float:
        if detection.more:
            return 0.0
        pause = self._interval.total_seconds() * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
        return pause if detection.look_again is None else min(pause, max(0.0, detection.look_again))

    async def _failed(self, state: SourceState, error: SourceError, now: datetime) -> float:
        self._state = state = await looks.mark_failed(self._store, state, error.code, str(error), now)
        events.look_failed(
            self._pipeline, self._source, self._metric_kind, error, count=state.failures, since=state.failing_since
        )
        if error.retry_after is not None:
            return error.retry_after
        growing = max(self._interval, FIRST_BACKOFF * 2 ** min(state.failures, 9))
        longest = min(self._watch.backoff or LONGEST_BACKOFF, growing)
        # full jitter keeps the sources of one broken server from coming back in step
        return random.uniform(FIRST_BACKOFF.total_seconds() / 2, longest.total_seconds())  # noqa: S311 - no secret
