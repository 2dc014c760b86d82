"""`watcher init`: the first files of a project, or pipelines for the Airflow sensors of a folder of DAGs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from watcher.adopt import Adopted, Adoption, adopt
from watcher.cli.first_files import Kind, example_files, settings_files
from watcher.cli.hours import Hours, hours_freed
from watcher.cli.options import AsJson, Config
from watcher.errors import AirflowError, ConfigError
from watcher.settings import DEFAULT_FILE, Settings, current_variables, load_settings

NOT_LEARNED = 4


class SourceKind(StrEnum):
    """The kinds of source that an example can be about."""

    database = "database"
    filesystem = "filesystem"
    api = "api"
    custom = "custom"


Folder = Annotated[Path, typer.Argument(help="Where to write (default: here). Nothing is ever overwritten.")]
Example = Annotated[SourceKind, typer.Option("--source", help="What the example watches.")]
FromDags = Annotated[
    Path | None, typer.Option("--from-dags", help="Write pipelines for the Airflow sensors of these DAG files.")
]
Airflow = Annotated[
    str | None, typer.Option("--airflow", help="Airflow's address, to count the hours its sensors held slots.")
]


def init(
    folder: Folder = Path(),
    source: Example = SourceKind.database,
    from_dags: FromDags = None,
    airflow: Airflow = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Write watcher.yaml, pipelines/, the schema and .env.example; or pipelines from existing DAGs, which are never run."""
    if from_dags is None:
        kind: Kind = source.value
        written, kept = _write(folder, example_files(kind))
        _tell_files(written, kept, listed=not as_json)
        return
    if not from_dags.is_dir():
        raise ConfigError(f"{from_dags} is not a folder of DAG files", code="unreadable-file")
    settings = _settings(airflow, config)  # before our own watcher.yaml, which names nobody's Airflow
    adoption = adopt(from_dags)
    hours, trouble = _hours(settings, adoption)
    written, kept = _write(folder, _files(adoption))
    if as_json:
        typer.echo(json.dumps(_document(adoption, written, kept, hours), indent=2))
    else:
        _print(adoption, hours)
    _tell_files(written, kept, listed=False)
    if trouble:
        typer.echo(f"The hours were not learned: {trouble}", err=True)
        if airflow is not None:
            raise typer.Exit(NOT_LEARNED)


def _settings(airflow: str | None, config: Path | None) -> Settings | None:
    """How Airflow is reached; None where neither a flag nor settings name one."""
    variables = current_variables()
    named = airflow is not None or config is not None or Path(DEFAULT_FILE).exists()
    if not named and "WATCHER__AIRFLOW__URL" not in variables:
        return None
    return load_settings(config, variables, airflow_url=airflow)


def _hours(settings: Settings | None, adoption: Adoption) -> tuple[tuple[Hours, ...], str]:
    if settings is None or not adoption.pipelines:
        return (), ""
    try:
        return hours_freed(settings, adoption), ""
    except (AirflowError, ConfigError) as error:
        return (), str(error)


def _files(adoption: Adoption) -> dict[str, str]:
    drafts = [made for each in adoption.pipelines for _, made in each.sources]
    named = dict.fromkeys(
        connection for made in drafts if made.keys.get("source_type") == "database" for connection in made.connections
    )
    return settings_files(named) | {f"pipelines/{each.name}.yaml": each.text for each in adoption.pipelines}


def _write(folder: Path, files: Mapping[str, str]) -> tuple[list[Path], list[Path]]:
    """Each file that is not there yet, written; the others, kept. Raises ConfigError when a file cannot be made."""
    written, kept = [], []
    for name, text in files.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            kept.append(path)
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror}", code="unreadable-file") from error
        else:
            written.append(path)
    return written, kept


def _tell_files(written: list[Path], kept: list[Path], *, listed: bool) -> None:
    if listed:
        for path in written:
            typer.echo(str(path))
    for path in kept:
        typer.echo(f"kept: {path} was there before", err=True)
    typer.echo(
        f"{len(written)} files written. Next: cp .env.example .env, fill it in, watcher check --env-file .env", err=True
    )


def _print(adoption: Adoption, hours: tuple[Hours, ...]) -> None:
    rows = [row for each in adoption.pipelines for row in _rows(each)]
    rows += [(f"{each.file}:{each.line}", each.what, "not translated", each.why) for each in adoption.untranslated]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    for row in rows:
        typer.echo("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]))
    for line in hours:
        typer.echo(line.sentence)
    drafts = [made for each in adoption.pipelines for _, made in each.sources]
    ready = sum(made.ready for made in drafts)
    typer.echo(
        f"{adoption.files} files read, none run: {ready} Airflow sensors translated, {len(drafts) - ready} to finish, "
        f"{len(adoption.untranslated)} not translated.",
        err=True,
    )


def _rows(adopted: Adopted) -> Iterator[tuple[str, str, str, str]]:
    for sensor, made in adopted.sources:
        to_do = "" if made.ready else f"  TO DO: {'; '.join(made.needs)}"
        yield (
            f"{sensor.file}:{sensor.line}",
            f"{sensor.dag_id}.{sensor.task_id}",
            f"{sensor.name}, {sensor.mode}",
            f"-> pipelines/{adopted.name}.yaml {made.source_id}{to_do}",
        )


def _document(adoption: Adoption, written: list[Path], kept: list[Path], hours: tuple[Hours, ...]) -> dict[str, Any]:
    return {
        "files": adoption.files,
        "written": [str(path) for path in written],
        "kept": [str(path) for path in kept],
        "sensors": [
            {
                "file": str(sensor.file),
                "line": sensor.line,
                "dag_id": sensor.dag_id,
                "task_id": sensor.task_id,
                "class": sensor.name,
                "mode": sensor.mode,
                "pipeline": each.name,
                "source_id": made.source_id,
                "ready": made.ready,
                "needs": list(made.needs),
                "notes": list(made.notes),
            }
            for each in adoption.pipelines
            for sensor, made in each.sources
        ],
        "untranslated": [
            {"file": str(each.file), "line": each.line, "what": each.what, "why": each.why}
            for each in adoption.untranslated
        ],
        "hours": [each.as_json() for each in hours],
    }
