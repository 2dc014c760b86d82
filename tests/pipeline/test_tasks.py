"""What a rule needs, said when its file is read."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from watcher.pipeline.tasks import Validation


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"rule": "unique", "table": "t"}, "rule: unique needs a column"),
        ({"rule": "accepted_values", "table": "t", "column": "c"}, "rule: accepted_values needs values"),
        ({"rule": "range", "table": "t", "column": "c"}, "rule: range needs min or max"),
        ({"rule": "range", "table": "t", "column": "c", "min": 2, "max": 1}, "min is larger than max"),
        ({"rule": "freshness", "table": "t", "column": "c"}, "rule: freshness needs max_age"),
        ({"rule": "relationships", "table": "t", "column": "c"}, "rule: relationships needs a table to look in"),
        ({"rule": "row_count", "name": "n"}, "rule: row_count needs a model or a table"),
        ({"rule": "row_count", "table": "t", "model": "m"}, "model and table cannot stand together"),
        ({"rule": "row_count"}, "a validation needs a model, a table or a name"),
        ({"rule": "sql", "table": "t"}, "rule: sql and sql belong together"),
        ({"rule": "row_count", "table": "a..b"}, "is not the name of a table"),
        ({"rule": "relationships", "table": "t", "column": "c", "to": '"x'}, "is not the name of a table"),
        (
            {"rule": "accepted_values", "table": "t", "column": "c", "values": ("a", None)},
            "texts, numbers, true or false",
        ),
        ({"rule": "accepted_values", "table": "t", "column": "c", "values": (["a"],)}, "texts, numbers, true or false"),
    ],
)
def test_refused_rules(keys: dict[str, Any], told: str) -> None:
    """A rule that could never be asked is refused with what it lacks."""
    with pytest.raises(ValidationError) as caught:
        Validation.model_validate(keys)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "keys",
    [
        {"rule": "row_count", "table": "t"},
        {"rule": "freshness", "model": "m", "column": "c", "max_age": "6h"},
        {"rule": "relationships", "table": "s.t", "column": "c", "to": "s.u", "field": "id", "severity": "warn"},
        {"rule": "sql", "sql": "select 1", "name": "n", "connection": "warehouse"},
    ],
)
def test_rules(keys: dict[str, Any]) -> None:
    """A rule with what it needs is taken as it is."""
    rule = Validation.model_validate(keys)
    assert rule.subject in ("t", "m", "s.t", "n")
