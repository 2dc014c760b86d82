"""Reads a source with code of the user's own: a function or dlt resource that the pipeline names by `module:object`."""

from __future__ import annotations

import stat
import sysconfig
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec
from operator import attrgetter
from pathlib import Path
from typing import Any

from airflow.sdk.configuration import conf

from watcher.dags.operators.tables import Reading, since_last_load
from watcher.errors import ConfigError


def load_object(name: str, near: Path) -> Any:
    """The object that `module:object` names: of an installed package, or of Airflow's folders for DAGs and plugins.

    `near` is the DAG file, whose folder is one of them also where DAGs come in bundles.
    Raises ConfigError for what is not there, lies elsewhere (the working directory, say) or may be written by anybody.
    """
    module, _, path = name.partition(":")
    _check_place(module.partition(".")[0], name, _roots(near))
    try:
        return attrgetter(path)(import_module(module))
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{name} is not there: {type(error).__name__}: {error}", code="bad-value") from error


def _check_place(top: str, name: str, roots: Sequence[Path]) -> None:
    """Judge where the top package lies before a line of it runs."""
    spec = find_spec(top)
    places = [] if spec is None else [*(spec.submodule_search_locations or ()), spec.origin or ""]
    files = [Path(place).resolve() for place in places if place and Path(place).exists()]
    if not files:
        raise ConfigError(f"{name} is not there: no module {top} on this worker", code="bad-value")
    for file in files:
        if not any(file.is_relative_to(root) for root in roots):
            message = f"{name}: {file} is neither an installed package nor in Airflow's folders for DAGs and plugins"
            raise ConfigError(message, code="bad-value")
        if any(part.stat().st_mode & stat.S_IWOTH for part in (file, file.parent)):
            raise ConfigError(f"{name}: {file} may be written by anybody, so it is not run", code="bad-value")


def _roots(near: Path) -> list[Path]:
    installed = (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
    folders = (conf.get("core", "dags_folder"), conf.get("core", "plugins_folder"))
    return [Path(place).resolve() for place in (*installed, *folders, near.parent)]


def custom_resources(make: Callable[..., Any], options: dict[str, Any], reading: Reading, name: str) -> Sequence[Any]:
    """The dlt resources of what `make(**options)` answers: a dlt source or resource, or rows (dicts, or lists of them).

    What the pipeline says of table, key and disposition wins over what a resource says of itself.
    """
    from dlt.extract import DltResource, DltSource

    made = make(**options)
    if isinstance(made, DltSource):
        return [_hinted(each, reading, None) for each in made.selected_resources.values()]
    if isinstance(made, DltResource):
        return [_hinted(made, reading, reading.table)]
    return [_rows(made, reading, name)]


def _hinted(resource: Any, reading: Reading, table: str | None) -> Any:
    hints: dict[str, Any] = {"table_name": table, "write_disposition": reading.disposition}
    hints["primary_key"] = list(reading.key) or None
    resource.apply_hints(**{key: value for key, value in hints.items() if value is not None})
    return resource


def _rows(made: Any, reading: Reading, name: str) -> Any:
    import dlt

    if not isinstance(made, Iterable) or isinstance(made, str | bytes | dict):
        message = f"{name}: its resource answers {type(made).__name__}; a dlt source, a dlt resource or rows are wanted"
        raise ConfigError(message, code="bad-value")
    hints: dict[str, Any] = {
        "write_disposition": reading.disposition_for(reading.key),
        "primary_key": list(reading.key) or None,
        "incremental": None if reading.everything else since_last_load(reading),
    }
    return dlt.resource(iter(made), name=reading.table or name, **hints)
