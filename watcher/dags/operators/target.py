"""Where the tasks after ingest work: the one destination that a pipeline's sources are loaded into."""

from __future__ import annotations

import re
from dataclasses import dataclass

from watcher.errors import ConfigError
from watcher.pipeline.model import Ingest, Pipeline

DUCKDB = "duckdb"
_PLAIN = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Target:
    """A destination as `ingest.destination` names it, and the dataset (schema) in it that models are built in."""

    destination: str
    dataset: str

    @property
    def schema(self) -> str:
        """The dataset by the name that it has at the destination."""
        return name_there(self.dataset)


def target_of(pipeline: Pipeline) -> Target:
    """The destination that the enabled sources name, DuckDB when none does; their dataset, or the pipeline's name.

    Raises ConfigError when they name several: one dbt project and one set of rules cannot work in two databases.
    """
    ingests = [source.ingest or Ingest() for source in pipeline.sources if source.enabled]
    named = sorted({ingest.destination for ingest in ingests if "destination" in ingest.model_fields_set})
    if len(named) > 1:
        raise ConfigError(
            f"the sources are loaded into {' and '.join(named)}; the tasks after them need one destination",
            code="bad-value",
        )
    datasets = {ingest.dataset or pipeline.name for ingest in ingests}
    return Target(named[0] if named else DUCKDB, datasets.pop() if len(datasets) == 1 else pipeline.name)


def name_there(name: str) -> str:
    """What dlt calls a dataset or table at the destination.

    >>> name_there("orders_daily")
    'orders_daily'
    """
    if _PLAIN.fullmatch(name):
        return name  # dlt leaves it as it is, and costs seconds to import
    from dlt.common.normalizers.naming.snake_case import NamingConvention

    return str(NamingConvention().normalize_table_identifier(name))
