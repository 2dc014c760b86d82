"""What the DAGs' side costs: seconds and MiB to parse pipelines and to start a task, next to Airflow alone in the same run.

`python -m tests.bench.parsing`; `--no-peer` leaves out the comparison with dag-factory.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench import dag_factory
from tests.bench.airflow_process import ROOT, Case, Place, measure

PYTHON = ROOT / ".venv-airflow" / "bin" / "python"
COMPARED = ROOT / "docs" / "compare" / "watcher.yaml"
SIZES = (1, 100, 1000)
LONG_ROUNDS = 3
"""Of the cases that take ten seconds."""
BARE = """\
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG

with DAG("bare") as dag:
    PythonOperator(task_id="work", python_callable=print)
"""


def main() -> None:
    """Prints one line per case."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.parsing")
    parser.add_argument("--no-peer", action="store_true", help="leave out dag-factory")
    parser.add_argument("--rounds", type=int, default=2, help="of each case (default: 2)")
    options = parser.parse_args()
    for line in report(options.rounds, peer=not options.no_peer):
        print(line, flush=True)


def report(rounds: int, *, peer: bool) -> Iterator[str]:
    """The lines: medians of rounds that are interleaved; `file` is the DAG file alone, `process` all after the interpreter."""
    with tempfile.TemporaryDirectory(prefix="watcher-parsing-") as made:
        place = Place(PYTHON, Path(made))
        for measured in measure(list(_cases(place)), rounds):
            yield measured.line()
        if peer:
            yield from dag_factory.report(Path(made), place, SIZES[:2], rounds)


def _cases(place: Place) -> Iterator[Case]:
    bare = place.folder / "bare.py"
    bare.write_text(BARE, "utf-8")
    yield Case("airflow.sdk alone", place, ["import"], {})
    yield Case("a bare PythonOperator DAG file", place, ["parse", str(bare)], {})
    for size in SIZES:
        loader, environment = publish(place.folder / f"{size}", size)
        most = 99 if size < 1000 else LONG_ROUNDS
        yield Case(f"{size} pipelines, all built", place, ["parse", str(loader)], environment, most)
    problems = loader.with_name("watcher_problems.py")
    yield Case(f"{size} pipelines, looked at for problems", place, ["parse", str(problems)], environment, LONG_ROUNDS)
    yield Case("start of a bare PythonOperator", place, ["start", str(bare), "bare", "work"], {})
    for size in (1, 1000):
        loader, environment = publish(place.folder / f"{size}", size)
        start = ["start", str(loader), "p0000", "ingest_orders_db"]
        yield Case(
            f"start of an ingest task among {size} pipelines", place, start, {**environment, **one_task("p0000")}
        )


def publish(folder: Path, count: int) -> tuple[Path, dict[str, str]]:
    """`count` pipelines like the compared one, and the DAG files that ship: the loader's path and its environment."""
    pipelines = folder / "pipelines"
    pipelines.mkdir(parents=True, exist_ok=True)
    text = COMPARED.read_text("utf-8")
    for number in range(count):
        name = f"p{number:04}"
        (pipelines / f"{name}.yaml").write_text(text.replace("name: orders\n", f"name: {name}\n", 1), "utf-8")
    for file in ("watcher_pipelines.py", "watcher_problems.py"):
        shutil.copy(ROOT / "airflow" / "dags" / file, folder)
    return folder / "watcher_pipelines.py", {"WATCHER__PIPELINES": str(pipelines)}


def one_task(dag_id: str) -> dict[str, str]:
    """How Airflow tells a process that it runs one task."""
    return {"_AIRFLOW_PARSING_CONTEXT_DAG_ID": dag_id, "_AIRFLOW_PARSING_CONTEXT_TASK_ID": "ingest_orders_db"}


if __name__ == "__main__":
    main()
