"""Ids in addresses."""

from __future__ import annotations

import pytest

from watcher.airflow_api.paths import dag_path, run_path


@pytest.mark.parametrize(
    ("dag_id", "path"),
    [
        ("orders", "/api/v2/dags/orders"),
        ("../users", "/api/v2/dags/..%2Fusers"),
        ("..", "/api/v2/dags/%252E%252E"),
        ("a b?c#d", "/api/v2/dags/a%20b%3Fc%23d"),
        ("größe", "/api/v2/dags/gr%C3%B6%C3%9Fe"),
    ],
)
def test_an_id_stays_one_segment(dag_id: str, path: str) -> None:
    """No id can lead to another address."""
    assert dag_path(dag_id) == path
    assert run_path(dag_id, "watcher__1") == f"{path}/dagRuns/watcher__1"
