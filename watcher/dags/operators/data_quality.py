"""A suite of rules over many tables, for DAGs written by hand: the rules of a pipeline file, as Python data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from watcher.dags.operators.target import DUCKDB, Target
from watcher.dags.operators.validation import ValidationOperator
from watcher.errors import ConfigError
from watcher.pipeline.tasks import Validation

Checks = Mapping[str, Sequence[Mapping[str, Any]]]
"""Table -> its rules, with the keys of `validations` in a pipeline file."""


class DataQualityOperator(ValidationOperator):
    """All rules of all tables in one task; its result, severities and colours are those of ValidationOperator.

    >>> suite = {"orders": [{"rule": "not_null", "column": "id"}], "customers": [{"rule": "row_count", "min": 10}]}
    >>> [rule.table for rule in DataQualityOperator(task_id="quality", checks=suite).rules]
    ['orders', 'customers']

    Tables are those of `conn_id`, else of the DuckDB file that ingest writes to, `dataset` first.
    """

    def __init__(self, *, checks: Checks, conn_id: str | None = None, dataset: str = "main", **kwargs: Any) -> None:
        super().__init__(rules=tuple(_rules(checks)), target=Target(DUCKDB, dataset), conn_id=conn_id, **kwargs)


def _rules(checks: Checks) -> Iterator[Validation]:
    """Raises ConfigError naming table and place of a rule that is none, so the DAG does not even load."""
    for table, rules in checks.items():
        for place, rule in enumerate(rules):
            try:
                yield Validation.model_validate({"table": table, **rule})
            except ValidationError as error:
                first = error.errors(include_input=False, include_url=False)[0]
                where = ".".join(str(step) for step in first["loc"])
                message = f"checks[{table!r}][{place}]{f'.{where}' if where else ''}: {first['msg']}"
                raise ConfigError(message, code="bad-value") from error
