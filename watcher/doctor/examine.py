"""The whole examination: settings, store, Airflow, connections and sources, side by side, each within its own deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from watcher.airflow_api import AirflowOptions
from watcher.connections import Connections
from watcher.doctor.airflow import look_at_airflow
from watcher.doctor.finding import Finding, Part, failed
from watcher.doctor.sources import look_at_connections, look_at_sources
from watcher.doctor.store import look_at_store
from watcher.errors import ConfigError
from watcher.pipeline.load import Loaded, load
from watcher.pipeline.model import Pipeline
from watcher.settings import Settings

__all__ = ["Examination", "Part", "examine"]


@dataclass(frozen=True, slots=True)
class Examination:
    """What to look at. `origin` names the settings' file; `airflow` may raise ConfigError; `only` None is everything."""

    settings: Settings
    origin: str
    variables: Mapping[str, str]
    airflow: Callable[[], AirflowOptions]
    pipeline: str | None = None
    only: Part | None = None
    seconds: float = 10.0


async def examine(request: Examination) -> list[Finding]:
    """Every finding, in the order of the report. Raises ConfigError for a pipeline that is not there."""
    loaded = _load(request.settings, request.variables)
    pipelines = _wanted(loaded, request.pipeline)
    settings = request.settings
    connections = Connections(settings.connection_urls, request.variables, settings.connections_file)
    named = look_at_connections(connections, pipelines) if _asked(request, "connections") else []
    own = [_of_settings(request, loaded)] if request.only is None else []
    store, airflow, sources = await asyncio.gather(
        _store(request), _airflow(request, pipelines), _sources(request, connections, pipelines)
    )
    return [*own, *store, *airflow, *named, *sources]


def _asked(request: Examination, part: Part) -> bool:
    return request.only in (None, part)


def _load(settings: Settings, variables: Mapping[str, str]) -> Loaded | None:
    if not settings.pipelines.is_dir():
        return None
    return load(settings.pipelines, environment=settings.environment, variables=variables)


def _wanted(loaded: Loaded | None, name: str | None) -> list[Pipeline]:
    pipelines = [file.pipeline for file in loaded.pipelines] if loaded else []
    if name is None:
        return [pipeline for pipeline in pipelines if pipeline.enabled]
    wanted = [pipeline for pipeline in pipelines if pipeline.name == name]
    if not wanted:
        known = ", ".join(sorted(pipeline.name for pipeline in pipelines)) or "none"
        raise ConfigError(f'no valid pipeline "{name}"; there are: {known}', code="bad-value")
    return wanted


def _of_settings(request: Examination, loaded: Loaded | None) -> Finding:
    settings = request.settings
    if loaded is None:
        message = f"the pipelines folder {settings.pipelines} does not exist"
        return failed("settings", ConfigError(message, code="unreadable-file"))
    environment = f", environment {settings.environment}" if settings.environment else ""
    text = f"{request.origin}, {len(loaded.pipelines)} pipelines{environment}"
    if loaded.errors:
        bad = len({problem.path for problem in loaded.errors})
        message = f"{text}; {bad} of {loaded.files} files refused"
        return Finding("settings", message, "FAILED", code=loaded.errors[0].code, advice="watcher check says why")
    return Finding("settings", text)


async def _store(request: Examination) -> list[Finding]:
    if not _asked(request, "store"):
        return []
    return [await look_at_store(request.settings.store.url, request.seconds)]


async def _airflow(request: Examination, pipelines: list[Pipeline]) -> list[Finding]:
    if not _asked(request, "airflow"):
        return []
    try:
        options = request.airflow()
    except ConfigError as error:
        return [failed("airflow", error)]
    return await look_at_airflow(options, pipelines)


async def _sources(request: Examination, connections: Connections, pipelines: list[Pipeline]) -> list[Finding]:
    if not _asked(request, "sources"):
        return []
    return await look_at_sources(connections, pipelines, request.seconds)
