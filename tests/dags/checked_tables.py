"""Small tables that every rule can pass and fail on, in any database, and a way to run a validation as a task would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk.exceptions import AirflowException

from watcher.dags.operators.validation import ValidationOperator
from watcher.pipeline.tasks import Validation

HOUR = timedelta(hours=1)

PASSING: Mapping[str, dict[str, Any]] = {
    "not_null": {"column": "id"},
    "unique": {"column": "amount"},
    "accepted_values": {"column": "status", "values": ("new", "paid", "hunter2")},
    "range": {"column": "amount", "min": 5, "max": 900.5},
    "row_count": {"min": 4, "max": 4},
    "freshness": {"column": "updated_at", "max_age": 6 * HOUR},
    "relationships": {"column": "id", "to": "customers"},
    "sql": {"sql": "select * from orders where status like 'n%' and amount < 0;"},
}
"""Rule -> keys that the table `orders` meets."""

FAILING: Mapping[str, tuple[dict[str, Any], int, int | None]] = {
    "not_null": ({"column": "status"}, 1, 4),
    "unique": ({"column": "id"}, 1, 4),
    "accepted_values": ({"column": "status", "values": ("new", "paid")}, 1, 4),
    "range": ({"column": "amount", "min": 6, "max": 100}, 2, 4),
    "row_count": ({"min": 5}, 1, 4),
    "freshness": ({"column": "updated_at", "max_age": HOUR / 4}, 1, None),
    "relationships": ({"column": "customer", "to": "customers", "field": "id"}, 1, 4),
    "sql": ({"sql": "select id, id from orders where amount > 100 -- too much"}, 1, 1),
}
"""Rule -> keys that it fails with, how many rows fail, of how many (None: a figure of its own)."""

BROKEN: Mapping[str, dict[str, Any]] = {
    **{rule: {**keys, "column": "missing"} for rule, keys in PASSING.items() if "column" in keys},
    "relationships": {"column": "id", "to": "customers", "field": "missing"},
    "row_count": {"table": "missing"},
    "sql": {"sql": "select missing from orders"},
}
"""Rule -> keys that name something that is not there."""


def statements(prefix: str = "") -> Iterator[str]:
    """The statements that make the tables, with times an hour and more ago; `prefix` is a schema and a dot."""
    newest = datetime.now(UTC).replace(tzinfo=None, microsecond=0) - HOUR
    rows = (
        ("1", "'new'", "10", "1"),
        ("2", "'paid'", "20", "2"),
        ("3", "null", "900", "7"),
        ("3", "'hunter2'", "5", "null"),
    )
    yield f"create table {prefix}customers (id integer)"
    yield f"insert into {prefix}customers values (1), (2), (3)"
    columns = "id integer, status varchar(20), amount integer, customer integer, updated_at timestamp"
    yield f"create table {prefix}orders ({columns})"
    yield f"create table {prefix}unsold ({columns})"
    for hours, row in enumerate(rows):
        yield f"insert into {prefix}orders values ({', '.join(row)}, '{newest - hours * HOUR}')"


def rule(kind: str, **keys: Any) -> Validation:
    """One rule about `orders`, unless `keys` names another table."""
    return Validation(rule=kind, **{"table": "orders", **keys})  # type: ignore[arg-type]


@dataclass
class Checked:
    """What a validation left behind. `table` is its result in XCom, `error` what made the task red."""

    table: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None

    def xcom_push(self, key: str, value: Any) -> None:
        assert key == "return_value"
        self.table = value


def run(operator: ValidationOperator) -> Checked:
    """Run the task."""
    checked = Checked()
    try:
        checked.table = operator.execute({"ti": checked})  # type: ignore[typeddict-item]
    except AirflowException as error:
        checked.error = str(error)
    return checked


def check(*rules: Validation, **options: Any) -> Checked:
    """Run a task with these rules."""
    return run(ValidationOperator(task_id="validate_orders", rules=rules, **options))
