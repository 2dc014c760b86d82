"""The task that loads one source: exactly what its batch changed, or without a batch what is new since the last load."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.log import mask_secret

from watcher.dags.connections import database_url
from watcher.dags.operators.api import api_resource
from watcher.dags.operators.custom import custom_resources, load_object
from watcher.dags.operators.destination import Destination, Lake, destination_of
from watcher.dags.operators.files import FileReading, Folder, file_resource
from watcher.dags.operators.loading import Resources, load, prepare_dlt, working_name
from watcher.dags.operators.tables import Reading, all_tables, open_engine, query_resource, table_resources
from watcher.detection import Range
from watcher.errors import ConfigError, SourceError
from watcher.pipeline.model import ApiSource, CustomSource, DatabaseSource, FilesystemSource, Ingest, Source
from watcher.pipeline.run import BatchView, SourceView, read_batch
from watcher.pipeline.secrets import reveal, secrets_in

if TYPE_CHECKING:
    from airflow.sdk import Context

DETECTED_CHANGES = "detected_changes"
"""The XCom key under which the first tasks of a run show `watcher.sources` of its conf."""


class IngestionOperator(BaseOperator):
    """Loads one source into its destination and answers rows per table.

    With a batch in the run's conf it reads that batch's window or listed files and nothing else, so a repeated run repeats
    them. Without one, or where a batch can name neither, it reads what is new since the last load. `announces` pushes the
    batch's sources to XCom. Nothing of a conf is ever rendered as a template.
    """

    template_fields = ()

    def __init__(self, *, source: Source, dataset: str, announces: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.dataset = dataset
        self.announces = announces

    def execute(self, context: Context) -> dict[str, int]:
        """Rows per table. Raises the WatcherError of the source, ConfigError, or AirflowException for the destination."""
        conf = context["dag_run"].conf or {}
        batch = read_batch(conf)
        view = None if batch is None else batch.sources.get(self.source.source_id)
        if self.announces:
            context["ti"].xcom_push(key=DETECTED_CHANGES, value=_sources(conf))
        self.log.info(headline(self.source, batch, view))
        if batch is not None and view is None and self.source.watch is not None:
            return {}  # another source brought this run; this one has not changed
        if isinstance(self.source, CustomSource) and not (self.source.ingest and self.source.ingest.resource):
            return {}  # the changes are the whole message: the tasks after this one fetch what they need
        return self._load(self.source, view)

    def _load(self, source: Source, view: SourceView | None) -> dict[str, int]:
        prepare_dlt()
        ingest = source.ingest or Ingest()
        dataset = ingest.dataset or self.dataset
        destination = destination_of(ingest.destination, dataset)
        with self._reader(source, _kept(ingest, destination), view) as resources:
            return load(resources, destination, working_name(self.dag_id, source.source_id), dataset)

    def _reader(self, source: Source, ingest: Ingest, view: SourceView | None) -> AbstractContextManager[Resources]:
        match source:
            case DatabaseSource():
                return _database(source, ingest, view)
            case FilesystemSource():
                return _files(source, ingest, view)
            case ApiSource():
                return nullcontext(lambda: [api_resource(source, _reading(ingest), ingest.select)])
            case CustomSource():
                return nullcontext(lambda: _custom(source, ingest, Path(self.dag.fileloc)))


def _kept(ingest: Ingest, destination: Destination) -> Ingest:
    """`ingest` as the destination can do it. Raises ConfigError for a merge in a folder, where nothing finds a row again."""
    if not isinstance(destination, Lake):
        return ingest
    if ingest.write_disposition == "merge":
        raise ConfigError("a folder cannot merge: take write_disposition append or replace", code="bad-value")
    return ingest.model_copy(update={"write_disposition": ingest.write_disposition or "append"})


def _reading(ingest: Ingest) -> Reading:
    return Reading(
        column=ingest.column,
        disposition=ingest.write_disposition,
        key=ingest.primary_key,
        columns=ingest.columns,
        table=ingest.table,
    )


def _custom(source: CustomSource, ingest: Ingest, near: Path) -> Sequence[Any]:
    for secret in secrets_in(source.options):
        mask_secret(secret.reveal())
    make = load_object(ingest.resource or "", near)
    return custom_resources(make, reveal(source.options), _reading(ingest), source.source_id)


def _sources(conf: Mapping[str, Any]) -> Any:
    block = conf.get("watcher")
    return block.get("sources", {}) if isinstance(block, Mapping) else {}


@contextmanager
def _database(source: DatabaseSource, ingest: Ingest, view: SourceView | None) -> Iterator[Resources]:
    engine = open_engine(database_url(source.connection or source.source_id))
    reading = Reading(
        column=ingest.column or getattr(source.watch, "column", None),
        window=_window(source, view),
        disposition=ingest.write_disposition,
        key=ingest.primary_key or getattr(source.watch, "key", None) or (),
        columns=ingest.columns,
        table=ingest.table,
    )
    query = source.query
    try:
        if query is not None:
            yield lambda: [query_resource(engine, query, source.source_id, reading)]
        else:
            yield lambda: table_resources(engine, source.all_tables or all_tables(engine), reading)
    finally:
        engine.dispose()


def _window(source: DatabaseSource, view: SourceView | None) -> Range | None:
    """The batch's window. A conf comes from outside, so its column counts only where the file names the same."""
    if view is None or view.range is None:
        return None
    column = getattr(source.watch, "column", None)
    if view.range.column != column:
        message = f'the batch is a window of column "{view.range.column}", the pipeline watches "{column}" by now'
        raise SourceError(message, code="source-answer")
    return view.range


@contextmanager
def _files(source: FilesystemSource, ingest: Ingest, view: SourceView | None) -> Iterator[Resources]:
    if "://" in source.path:
        raise ConfigError(f"ingest reads local folders only, not {source.path}", code="not-available")
    folder = Folder(source.path, source.pattern, source.ignore, source.watch.done_marker if source.watch else None)
    reading = FileReading(
        table=ingest.table or source.source_id,
        disposition=ingest.write_disposition or "merge",
        key=ingest.primary_key,
        columns=ingest.columns,
        format=ingest.format,
    )

    def resources() -> list[Any]:
        if reading.disposition == "replace":
            return [file_resource(folder, folder.found(), reading)]
        listed = folder.listed(view.files, view.deleted) if view is not None and view.listed else None
        return [file_resource(folder, listed, reading)]

    yield resources


def headline(source: Source, batch: BatchView | None, view: SourceView | None) -> str:
    """The one line that a task's log has about its batch."""
    if batch is None:
        return f"no batch: {source.source_id}, what is new since its last load"
    if view is None:
        return f"batch {batch.batch}: 0 changes, {source.source_id}"
    told = f"batch {batch.batch}: {view.changes:,} {'change' if view.changes == 1 else 'changes'}, {source.source_id}"
    if view.range is not None:
        return f"{told} ({'the beginning' if view.range.low is None else view.range.low} to {view.range.high}]"
    return f"{told} ({len(view.files):,} files, {len(view.deleted):,} deleted)" if view.listed else told
