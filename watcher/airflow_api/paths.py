"""The addresses below Airflow's own: every id is quoted as one segment, so none can leave its place."""

from __future__ import annotations

from urllib.parse import quote

ALL_RUNS = "/api/v2/dags/~/dagRuns"


def dag_path(dag_id: str) -> str:
    return f"/api/v2/dags/{_segment(dag_id)}"


def details_path(dag_id: str) -> str:
    """The DAG with what its own file says of it; only here is the page that people read."""
    return f"{dag_path(dag_id)}/details"


def task_times_path(dag_id: str) -> str:
    """The task instances of all runs of a DAG."""
    return f"{runs_path(dag_id)}/~/taskInstances"


def runs_path(dag_id: str) -> str:
    """Without a trailing slash: Airflow answers 405 to one."""
    return f"{dag_path(dag_id)}/dagRuns"


def run_path(dag_id: str, dag_run_id: str) -> str:
    return f"{runs_path(dag_id)}/{_segment(dag_run_id)}"


def _segment(text: str) -> str:
    quoted = quote(text, safe="")
    # A segment of dots alone would be taken for a step in the path: it is asked for as an id that nobody has.
    return quoted.replace(".", "%252E") if set(text) == {"."} else quoted
