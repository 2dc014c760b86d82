"""The pipelines at work: starts, replaces and stops the loops of each, one after the other so that cursors are handed on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

from watcher import events
from watcher.connections import Connections
from watcher.decide import Gate
from watcher.detectors import Context, identity, make_detector
from watcher.errors import AirflowError, StoreError
from watcher.loop import Clock, Loop, Step, run_loop
from watcher.pipeline.model import Pipeline, Source
from watcher.store import Store
from watcher.watch import Fire, Look, LookOptions
from watcher.watch.look import LOOK_LIMIT
from watcher.web import Health

INTAKE_GRACE = timedelta(seconds=3)
"""How long a look in hand may finish at a stop before it is cut; its cursor has not moved, so nothing is lost."""

Spawn = Callable[[Coroutine[Any, Any, None], str], "asyncio.Task[None]"]


@dataclass(slots=True)
class Working:
    """One pipeline at work: its definition, its loops, and the tasks that turn them."""

    pipeline: Pipeline
    fire: Loop
    looks: list[tuple[Look, Loop]] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    start: asyncio.Task[None] | None = None
    """Hands over from the older version, then starts the loops."""

    @property
    def loops(self) -> list[Loop]:
        return [self.fire, *(loop for _, loop in self.looks)]


@dataclass(frozen=True, slots=True)
class Hands:
    """What the loops of a pipeline work with. `dispatch` wakes the delivery, `spawn` starts a named task of the daemon."""

    store: Store
    connections: Connections
    ask_gate: Callable[[str], Awaitable[Gate]]
    dispatch: Callable[[], None]
    spawn: Spawn
    clock: Clock


class Refusals:
    """Steps that the store or Airflow refused, told on the edge and shown by /readyz."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._counts: dict[str, int] = {}

    def loop(self, name: str, step: Step) -> Loop:
        """A loop whose refused steps are told here."""

        def trouble(error: StoreError | AirflowError | None) -> None:
            self._told(name, error)

        return Loop(name, step, trouble)

    def forget(self, name: str) -> None:
        """The loop is gone: what it was refused is no news any more."""
        self._counts.pop(name, None)
        self._health.refused.pop(name, None)

    def _told(self, name: str, error: StoreError | AirflowError | None) -> None:
        if error is None:
            events.service_recovered(name, self._counts.pop(name, 0))
            self._health.refused.pop(name, None)
            return
        self._counts[name] = self._counts.get(name, 0) + 1
        if isinstance(error, StoreError):
            self._health.refused[name] = f"{error.code}: {error}"
        events.service_troubled(name, error, self._counts[name])


class Work:
    """The running set. `take` makes it equal to the files; what did not change is left alone."""

    def __init__(self, hands: Hands, refusals: Refusals) -> None:
        self._hands, self._refusals = hands, refusals
        self._working: dict[str, Working] = {}

    def take(self, wanted: Mapping[str, Pipeline]) -> None:
        """Starts, replaces and stops pipelines until exactly these are at work."""
        same = {n for n, w in self._working.items() if n in wanted and wanted[n].fingerprint == w.pipeline.fingerprint}
        started = [self._build(pipeline) for name, pipeline in wanted.items() if name not in same]  # may refuse: first
        stopped = {name: self._working.pop(name) for name in list(self._working) if name not in same}
        for working in started:
            name = working.pipeline.name
            self._working[name] = working
            working.start = self._hands.spawn(self._begin(working, stopped.get(name)), f"start {name}")
        for name, gone in stopped.items():
            if name not in wanted:
                self._hands.spawn(self._stop([gone]), f"stop {name}")
        counts = {"started": len(started), "stopped": len(stopped), "left": len(same)}
        events.pipelines_loaded(len(wanted), now=self._hands.clock.now(), **counts)

    async def stop(self) -> None:
        """Ends intake and decisions of every pipeline, and gives the detectors' connections and threads back."""
        await self._stop(self._working.values())

    def wake(self, name: str | None = None) -> None:
        """Lets one pipeline, or all, decide again now."""
        for working in self._working.values():
            if name in (None, working.pipeline.name):
                working.fire.wake.set()

    def definition(self, name: str) -> Pipeline | None:
        """The pipeline as it works now, None when it is gone."""
        working = self._working.get(name)
        return working.pipeline if working else None

    def loops(self) -> list[Loop]:
        """All loops at work."""
        return [loop for working in self._working.values() for loop in working.loops]

    @property
    def sources(self) -> int:
        """How many sources are looked at."""
        return sum(len(working.looks) for working in self._working.values())

    def _build(self, pipeline: Pipeline) -> Working:
        fire = Fire(pipeline, self._hands.store, self._hands.ask_gate, self._hands.dispatch)
        working = Working(pipeline, self._refusals.loop(f"fire {pipeline.name}", fire.step))
        for source in pipeline.watched:
            look = self._look(pipeline, source, working.fire.wake.set)
            loop = self._refusals.loop(f"look {look.name}", look.step)
            loop.step_limit = source.watch.timeout.total_seconds() if source.watch else 0.0
            working.looks.append((look, loop))
        return working

    def _look(self, pipeline: Pipeline, source: Source, recorded: Callable[[], None]) -> Look:
        url = self._hands.connections.find(source.connection).url if source.connection else None
        if url is not None and (password := urlsplit(url).password):
            events.hide(unquote(password))
        most = pipeline.trigger.max_batch if pipeline.trigger else None
        options = LookOptions(pipeline.name, source, identity(source), min(LOOK_LIMIT, most or LOOK_LIMIT))
        return Look(options, make_detector(source, Context(connection_url=url)), self._hands.store, recorded)

    async def _begin(self, working: Working, older: Working | None) -> None:
        if older is not None:  # two versions of one source must not look side by side
            await self._stop([older])
        if working.fire.stop.is_set():  # replaced or stopped meanwhile
            return
        for look, loop in working.looks:
            working.tasks.append(self._hands.spawn(run_loop(loop, self._hands.clock), loop.name))
            working.tasks.append(self._hands.spawn(look.follow_hints(loop.wake.set), f"hints {look.name}"))
        if working.looks:
            working.tasks.append(self._hands.spawn(run_loop(working.fire, self._hands.clock), working.fire.name))

    async def _stop(self, gone: Iterable[Working]) -> None:
        gone = list(gone)
        for loop in (loop for working in gone for loop in working.loops):
            loop.stop.set()
            self._refusals.forget(loop.name)
        # one that still takes over from its own older version does so first, and then does not start
        await asyncio.gather(*(working.start for working in gone if working.start is not None))
        tasks = [task for working in gone for task in working.tasks]
        for task in tasks:
            if task.get_name().startswith("hints "):
                task.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=INTAKE_GRACE.total_seconds())
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        looks = [look for working in gone for look, _ in working.looks]
        if looks:  # a connection to a server that stands still is left to the system rather than waited for
            closing = [asyncio.create_task(look.close(), name=f"close {look.name}") for look in looks]
            _, late = await asyncio.wait(closing, timeout=INTAKE_GRACE.total_seconds())
            for task in late:
                task.cancel()
            await asyncio.gather(*closing, return_exceptions=True)
