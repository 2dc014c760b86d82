"""`watcher check`: every problem of pipelines and settings at once, without opening a connection."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from watcher.cli.options import Config, Environment
from watcher.connections import Connections
from watcher.errors import ConfigError
from watcher.pipeline import load as loading
from watcher.pipeline.load import Loaded
from watcher.settings import DEFAULT_FILE, Settings, current_variables, load_settings

WARNINGS_ONLY, BAD_CONFIGURATION = 5, 78


class Form(StrEnum):
    """How problems are printed."""

    text = "text"
    json = "json"
    github = "github"


Paths = Annotated[list[Path] | None, typer.Argument(help="Pipeline files or folders (default: those of the settings).")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit 5 when there are warnings.")]
Show = Annotated[bool, typer.Option("--show", help="Print the merged files, secrets masked.")]
EnvFile = Annotated[Path | None, typer.Option("--env-file", help="Variables for ${VAR}, NAME=value lines.")]
SkipEnv = Annotated[bool, typer.Option("--skip-env", help="Do not read the environment for ${VAR}.")]
Format = Annotated[Form, typer.Option("--format", help="How problems are printed.")]


def check(
    paths: Paths = None,
    config: Config = None,
    env: Environment = None,
    strict: Strict = False,
    show: Show = False,
    env_file: EnvFile = None,
    skip_env: SkipEnv = False,
    form: Format = Form.text,
) -> None:
    """Validate pipelines and settings offline."""
    variables = _variables(env_file, skip=skip_env)
    settings = _settings(config, variables, env)
    folders = paths or [settings.pipelines if settings else Path("pipelines")]
    environment = env or (settings.environment if settings else None)
    results = [_load(folder, environment, variables) for folder in folders]
    if show:
        for loaded in results:
            for file in loaded.pipelines:
                typer.echo(loading.show(file.path, environment=environment, variables=variables))
    errors, warnings = _report(results, form, _unknown_connections(results, settings, variables))
    if errors:
        raise typer.Exit(BAD_CONFIGURATION)
    if warnings and strict:
        raise typer.Exit(WARNINGS_ONLY)


def _variables(env_file: Path | None, *, skip: bool) -> Mapping[str, str]:
    variables = {} if skip else dict(current_variables())
    if env_file is not None:
        try:
            lines = env_file.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise ConfigError(f"{env_file} cannot be read: {os.strerror(error.errno or 0)}") from error
        except UnicodeError:
            raise ConfigError(f"{env_file} is not UTF-8", code="unreadable-file") from None
        pairs = (line.split("=", 1) for line in lines if "=" in line and not line.lstrip().startswith("#"))
        variables |= {key.strip(): value.strip() for key, value in pairs}
    return variables


def _settings(config: Path | None, variables: Mapping[str, str], environment: str | None) -> Settings | None:
    """None where there are no settings to check: a folder of pipelines is checked alone, on a laptop or in CI."""
    given = (
        config is not None
        or Path(DEFAULT_FILE).exists()
        or any(name.startswith("WATCHER__AIRFLOW") for name in variables)
    )
    return load_settings(config, variables, environment=environment) if given else None


def _load(path: Path, environment: str | None, variables: Mapping[str, str]) -> Loaded:
    if path.is_dir():
        return loading.load(path, environment=environment, variables=variables)
    if path.exists():
        return loading.load_file(path, environment=environment, variables=variables)
    raise ConfigError(f"{path} does not exist", code="unreadable-file")


def _unknown_connections(results: list[Loaded], settings: Settings | None, variables: Mapping[str, str]) -> list[str]:
    if settings is None:
        return []
    connections = Connections(settings.connection_urls, variables, settings.connections_file)
    return [
        f"{file.path}: warning[unknown-connection]: {message}"
        for loaded in results
        for file in loaded.pipelines
        for message in connections.missing(file.pipeline)
    ]


def _report(results: list[Loaded], form: Form, connections: list[str]) -> tuple[int, int]:
    problems = [problem for loaded in results for problem in loaded.problems]
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = len(problems) - errors + len(connections)
    if form is Form.json:
        typer.echo(json.dumps([problem.as_json() for problem in problems], indent=2))
    elif form is Form.github:
        for problem in problems:
            typer.echo(problem.as_github())
    else:
        for problem in problems:
            typer.echo(problem.render() + "\n")
    for message in connections:
        typer.echo(message + "\n", err=form is not Form.text)
    for loaded in results:
        typer.echo(loaded.summary(), err=True)
    return errors, warnings
