"""The pipeline files as they are now: those that can be worked, and what is wrong with the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from watcher.connections import Connections
from watcher.errors import ConfigError
from watcher.pipeline.load import Loaded, load
from watcher.pipeline.model import Pipeline
from watcher.settings import Settings


@dataclass(frozen=True, slots=True)
class Files:
    """`usable` by name; `problems` are rendered for people; `invalid` counts files that are left out."""

    usable: Mapping[str, Pipeline]
    problems: tuple[str, ...]
    invalid: int


def read_files(settings: Settings, variables: Mapping[str, str], only: tuple[str, ...] = ()) -> Files:
    """Loads the folder and looks up every connection. Never raises for a bad file."""
    if not settings.pipelines.is_dir():
        raise ConfigError(f"the pipelines folder {settings.pipelines} does not exist", code="unreadable-file")
    loaded = load(settings.pipelines, environment=settings.environment, variables=variables)
    problems = [problem.render() for problem in loaded.problems if problem.severity == "error"]
    invalid = {problem.path for problem in loaded.problems if problem.severity == "error"}
    connections = Connections(settings.connection_urls, variables, settings.connections_file)
    usable: dict[str, Pipeline] = {}
    for file in loaded.pipelines:
        missing = connections.missing(file.pipeline)
        if missing:
            problems += [f"{file.path}: error[unknown-connection]: {message}" for message in missing]
            invalid.add(file.path)
        else:
            usable[file.pipeline.name] = file.pipeline
    return Files(_wanted(usable, loaded, only), tuple(problems), len(invalid))


def _wanted(usable: Mapping[str, Pipeline], loaded: Loaded, only: tuple[str, ...]) -> dict[str, Pipeline]:
    unknown = sorted(set(only) - {file.pipeline.name for file in loaded.pipelines})
    if unknown:
        known = ", ".join(sorted(usable)) or "none"
        raise ConfigError(f"no pipeline named {', '.join(unknown)}; there are: {known}", code="bad-value")
    return {
        name: pipeline
        for name, pipeline in usable.items()
        # what runs by the clock alone is Airflow's own business
        if pipeline.enabled and pipeline.trigger is not None and pipeline.watched and (not only or name in only)
    }
