"""Runs in an Airflow environment of its own: does one thing with a DAG file and prints what it took as one line of JSON.

No module of this project is imported by it, so that the same program measures every environment.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MARK = "MEASURED "


def main() -> None:
    """`child.py import`, `parse FILE`, `start FILE DAG TASK`, `bag FOLDER`."""
    verb, *arguments = sys.argv[1:]
    begun = time.perf_counter()
    from airflow.sdk import DAG, BaseOperator

    imported = time.perf_counter() - begun
    verbs: dict[str, Callable[..., dict[str, Any]]] = {
        "import": _nothing,
        "parse": _parse,
        "start": _start,
        "bag": _bag,
    }
    done = verbs[verb](DAG, BaseOperator, *arguments)
    done |= {"import": imported, "total": time.perf_counter() - begun, "mib": _peak()}
    print(MARK + json.dumps(done), flush=True)


def _nothing(dag: type, operator: type) -> dict[str, Any]:
    return {}


def _parse(dag: type, operator: type, file: str) -> dict[str, Any]:
    begun = time.perf_counter()
    dags = _dags(dag, file)
    return {"parse": time.perf_counter() - begun, "dags": len(dags), "tasks": sum(len(one.tasks) for one in dags)}


def _start(dag: type, operator: type, file: str, dag_id: str, task_id: str) -> dict[str, Any]:
    """All that lies between a started interpreter and the first line of `execute`."""
    begun = time.perf_counter()
    found = next(one for one in _dags(dag, file) if one.dag_id == dag_id)
    execute = found.get_task(task_id).execute
    return {"parse": time.perf_counter() - begun, "ready": callable(execute)}


def _bag(dag: type, operator: type, folder: str) -> dict[str, Any]:
    """What Airflow's own DAG processing finds in a folder and would show as import errors."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(folder, bundle_path=Path(folder), bundle_name="bench")
    return {"dags": sorted(bag.dags), "errors": dict(bag.import_errors)}


def _dags(dag: type, file: str) -> list[Any]:
    space: dict[str, Any] = {"__file__": file, "__name__": "measured"}
    exec(compile(Path(file).read_text("utf-8"), file, "exec"), space)
    return [value for value in space.values() if isinstance(value, dag)]


def _peak() -> float:
    """MiB, of this program alone: `ru_maxrss` would count the parent from which it was started."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
