"""What a transformation builds: its model, what it selects, or the children of the sources that changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from watcher.dags.operators.target import name_there
from watcher.pipeline.model import CustomSource, DatabaseSource, Ingest, Pipeline, Source
from watcher.pipeline.run import BatchView

CHANGED = "changed"
"""The word in `select` that stands for every child of what changed; beside a comma it is met with what else is there."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What ingest makes of one source: tables of a dataset. No `tables` means that nobody can say which beforehand."""

    source_id: str
    watched: bool
    dataset: str
    tables: tuple[str, ...]


def loaded_by(pipeline: Pipeline) -> tuple[Loaded, ...]:
    """What the enabled sources of a pipeline are loaded as; a custom one without a resource is not loaded at all."""
    return tuple(
        Loaded(
            source.source_id,
            source.watch is not None,
            (source.ingest or Ingest()).dataset or pipeline.name,
            tuple(_tables(source, (source.ingest or Ingest()).table)),
        )
        for source in pipeline.sources
        if source.enabled and (not isinstance(source, CustomSource) or (source.ingest and source.ingest.resource))
    )


def _tables(source: Source, renamed: str | None) -> Iterator[str]:
    if isinstance(source, CustomSource):
        return  # its resource says
    if renamed is not None or not isinstance(source, DatabaseSource) or source.query is not None:
        yield renamed or source.source_id
        return
    bare = Counter(table.rpartition(".")[2] for table in source.all_tables)
    for table in source.all_tables:
        name = table.rpartition(".")[2]
        yield name if bare[name] == 1 else table.replace(".", "_")


def asks_for_changed(select: str) -> bool:
    """Whether a `select` depends on what changed."""
    return any(CHANGED in part.split(",") for part in select.split())


def changed(sources: Iterable[Loaded], batch: BatchView | None) -> list[Loaded]:
    """The sources that may hold something new: those of the batch, those that nobody watches, and all without a batch."""
    if batch is None:
        return list(sources)
    moved = {source_id for source_id, view in batch.sources.items() if view.changes}
    return [source for source in sources if not source.watched or source.source_id in moved]


def expand(select: str, sources: Sequence[Loaded], known: Mapping[str, Any]) -> str:
    """`select` in dbt's own words, with the children of `sources` for every CHANGED; empty when nothing is left.

    `known` are the sources of the project's manifest, which tell what a table is called there; a table that is not among them
    is taken as `source:<dataset>.<table>`. Only names of the pipeline's own file come in, nothing of a conf.
    """
    children = [child for source in sources for child in _children(source, known)]
    parts = [part.split(",") for part in select.split()]
    unions = [
        ",".join(child if item == CHANGED else item for item in part)
        for part in parts
        for child in (children if CHANGED in part else [""])
    ]
    return " ".join(dict.fromkeys(unions))


def _children(source: Loaded, known: Mapping[str, Any]) -> Iterator[str]:
    dataset = name_there(source.dataset)
    tables = [name_there(table) for table in source.tables]
    places = {(_lower(entry, "schema"), _lower(entry, "identifier")): entry for entry in known.values()}
    if not tables:
        named = [entry for (schema, _), entry in places.items() if schema == dataset]
        yield from sorted({f"source:{entry['source_name']}+" for entry in named}) or [f"source:{dataset}+"]
    for table in tables:
        entry = places.get((dataset, table))
        yield f"source:{entry['source_name']}.{entry['name']}+" if entry else f"source:{dataset}.{table}+"


def _lower(entry: Mapping[str, Any], key: str) -> str:
    return str(entry.get(key, "")).lower()
