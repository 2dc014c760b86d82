"""Opens store, Airflow and listener in order, runs the services in one group, and stops them in the order of the flow."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from watcher import events
from watcher.airflow_api import AirflowApi, AirflowOptions, open_airflow
from watcher.connections import Connections
from watcher.daemon.care import Care
from watcher.daemon.files import Files, read_files
from watcher.daemon.work import Hands, Refusals, Work
from watcher.decide import Gate
from watcher.dispatch import Dispatch, DispatchOptions
from watcher.errors import ConfigError
from watcher.loop import Clock, Loop, run_loop
from watcher.settings import Settings
from watcher.store import Store, open_store
from watcher.track import Track
from watcher.version import VERSION
from watcher.web import Health, serve_ops


@dataclass(frozen=True, slots=True)
class DaemonOptions:
    """`only` names the pipelines to work, all when empty. `started` is called with the ops address once all is ready."""

    settings: Settings
    variables: Mapping[str, str]
    only: tuple[str, ...] = ()
    started: Callable[[str], None] = lambda ops: None
    stop: asyncio.Event | None = None
    """Stops the daemon from inside the process; when it is given no signal is listened to."""


async def run(options: DaemonOptions) -> None:
    """Runs until SIGTERM or SIGINT; HUP reloads, a second signal cancels.

    Raises ConfigError for files and settings, CannotStartError for a store or port that is taken; both before any look.
    """
    settings, begun = options.settings, time.monotonic()
    files = read_files(settings, options.variables, options.only)
    if not files.usable and files.problems:
        raise ConfigError("\n\n".join(files.problems))
    async with contextlib.AsyncExitStack() as resources:
        store = await resources.enter_async_context(open_store(settings.store.url))
        api = await resources.enter_async_context(open_airflow(airflow_options(settings)))
        health = Health()
        ops = await resources.enter_async_context(serve_ops(health, settings.web.ops))
        stop, reload = options.stop or asyncio.Event(), asyncio.Event()
        if options.stop is None:
            resources.enter_context(_signals(stop, reload))
        daemon = _Daemon(options, store, api, health)
        await daemon.serve(files, ops, stop, reload)
    events.daemon_stopped(time.monotonic() - begun)


class _Daemon:
    """The services of one process."""

    def __init__(self, options: DaemonOptions, store: Store, api: AirflowApi, health: Health) -> None:
        self._options, self._store, self._api, self._health = options, store, api, health
        self._clock, self._refusals = Clock(), Refusals(health)
        self._services: list[Loop] = []

    async def serve(self, files: Files, ops: str, stop: asyncio.Event, reload: asyncio.Event) -> None:
        """An exception of a task is a bug of ours: it ends the group, and the daemon with it."""
        async with asyncio.TaskGroup() as group:
            dispatch, work = self._build(group)
            work.take(files.usable)
            self._told(files)
            reloading = group.create_task(self._reload_when(reload, work), name="reload")
            running = [group.create_task(run_loop(loop, self._clock), name=loop.name) for loop in self._services]
            self._health.last_steps = lambda: {
                loop.name: loop.last_step and loop.last_step + loop.step_limit
                for loop in (*self._services, *work.loops())
            }
            self._health.phase = "ready"
            store = f"{self._settings.store.url.partition(':')[0]}:{self._store.place}"
            airflow = self._settings.airflow.url  # its door refuses one with credentials
            counts = {"pipelines": len(files.usable), "sources": work.sources}
            events.daemon_started(VERSION, store=store, airflow=airflow, ops=ops, **counts)
            self._options.started(ops)
            await stop.wait()
            self._health.phase = "draining"
            events.daemon_stopping("asked to")
            reloading.cancel()
            await self._stop(work, dispatch)
            for task in running:
                task.cancel()

    @property
    def _settings(self) -> Settings:
        return self._options.settings

    def _build(self, group: asyncio.TaskGroup) -> tuple[Dispatch, Work]:
        def spawn(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
            return group.create_task(work, name=name)

        def back() -> None:
            work.wake()
            dispatching.wake.set()
            tracking.wake.set()

        async def dispatch_step(now: datetime) -> float | None:
            events.stepped("dispatch", now)
            return await dispatch.step(now)

        async def track_step(now: datetime) -> float | None:
            events.stepped("track", now)
            return await track.step(now)

        dispatching = self._refusals.loop("dispatch", dispatch_step)
        tracking = self._refusals.loop("track", track_step)
        settings, variables = self._settings, self._options.variables
        connections = Connections(settings.connection_urls, variables, settings.connections_file)
        hands = Hands(self._store, connections, self._ask_gate, dispatching.wake.set, spawn, self._clock)
        work = Work(hands, self._refusals)
        track = Track(self._store, self._api, ended=work.wake)
        options = DispatchOptions(
            work.definition, manifests_folder(self._settings), self._clock.now, self._settings.web.public_url
        )
        dispatch = Dispatch(options, self._store, self._api, dispatching.wake.set)
        dispatch.confirmed = tracking.wake.set
        care = Care(self._store, self._api, self._health, back)
        self._services = [dispatching, tracking, self._refusals.loop("care", care.step)]
        return dispatch, work

    async def _ask_gate(self, dag_id: str) -> Gate:
        return await self._api.gate(dag_id, fresh=True)

    async def _reload_when(self, reload: asyncio.Event, work: Work) -> None:
        while True:
            await reload.wait()
            reload.clear()
            try:
                files = read_files(self._settings, self._options.variables, self._options.only)
                if not files.problems:  # all or nothing: one bad file keeps the whole old set
                    work.take(files.usable)
            except ConfigError as error:
                files = Files({}, (str(error),), 1)
            self._told(files)

    def _told(self, files: Files) -> None:
        if files.problems:
            events.pipelines_refused(list(files.problems), files.invalid)

    async def _stop(self, work: Work, dispatch: Dispatch) -> None:
        """Intake first, then what is in hand until the grace ends; what was cut is verified at the next start."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.shutdown_grace.total_seconds()):
                await work.stop()
                for loop in self._services:
                    loop.stop.set()
                await dispatch.drain()
        await dispatch.cancel()


def airflow_options(settings: Settings) -> AirflowOptions:
    """The settings in the words of Airflow's door; every secret is hidden from the log first."""
    airflow = settings.airflow
    for secret in (airflow.password, airflow.token):
        if secret is not None:
            events.hide(secret.read())
    token_file = airflow.token_file
    token = airflow.token.read if airflow.token else (lambda: token_file.read_text().strip()) if token_file else None
    return AirflowOptions(
        url=airflow.url,
        username=airflow.username,
        password=airflow.password.read if airflow.password else None,
        token=token,
        ca_file=airflow.ca_file,
        allow_insecure=settings.allow_insecure,
        on_request=events.airflow_requested,
    )


def manifests_folder(settings: Settings) -> Path:
    """Where long lists are put for the runs: as set, else beside a SQLite store, else below ./state. Always absolute."""
    if settings.manifests is not None:
        return settings.manifests.absolute()
    url = urlsplit(settings.store.url)
    base = Path(url.path.removeprefix("/")) if url.scheme.startswith("sqlite") else Path("state/store")
    return (base.parent / "manifests").absolute()


@contextlib.contextmanager
def _signals(stop: asyncio.Event, reload: asyncio.Event) -> Iterator[None]:
    loop, main = asyncio.get_running_loop(), asyncio.current_task()

    def asked() -> None:
        if stop.is_set() and main is not None:
            main.cancel()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked)
    loop.add_signal_handler(signal.SIGHUP, reload.set)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)
