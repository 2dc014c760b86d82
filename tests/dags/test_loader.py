"""What Airflow finds in the folder of pipelines, good files and bad ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from watcher.dags import build_dags, raise_problems
from watcher.dags.folder import pipelines_folder
from watcher.errors import ConfigError


def write(folder: Path, name: str, extra: str = "") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(
        dedent(f"""\
            name: {name}
            sources:
              - source_id: {name}_db
                source_type: database
                connection: shop_db
                table: {name}
                watch: {{column: updated_at}}
            """)
        + extra
    )
    return path


def test_one_dag_per_file(pipelines: Path, loader: Path) -> None:
    """Every valid file of the folder and below becomes one DAG of its name, documented by its own path."""
    (pipelines / "shop").mkdir()
    write(pipelines, "orders")
    write(pipelines / "shop", "customers")

    dags = build_dags(loader)

    assert list(dags) == ["customers", "orders"]
    assert "Made from `pipelines/shop/customers.yaml`" in (dags["customers"].doc_md or "")


def test_what_makes_no_dag(pipelines: Path, loader: Path) -> None:
    """A disabled pipeline, and one that runs a DAG of the user's own, give none and are no problem."""
    write(pipelines, "orders", "enabled: false\n")
    write(pipelines, "customers", "dag_id: my_own_dag\n")

    assert build_dags(loader) == {}
    raise_problems(loader)


BAD = {
    "unknown key": ("max_active_rnus: 1\n", "unknown-key"),
    "cycle": ("dependencies: {ingest_bad_db: [ingest_bad_db]}\n", "cycle"),
    "later version": ("alerting: {when: [stale]}\n", "not-available"),
    "broken YAML": ("trigger: {changes: [\n", "bad-yaml"),
}


@pytest.mark.parametrize(("extra", "code"), BAD.values(), ids=BAD.keys())
def test_bad_file_hides_no_other(pipelines: Path, loader: Path, extra: str, code: str) -> None:
    """A bad file is left out, its neighbours are not, and the second loader raises what is wrong with it."""
    write(pipelines, "orders")
    write(pipelines, "bad", extra)

    assert list(build_dags(loader)) == ["orders"]
    with pytest.raises(ConfigError) as caught:
        raise_problems(loader)
    assert f"error[{code}]" in str(caught.value)
    assert "bad.yaml:" in str(caught.value)


def test_all_problems_at_once(pipelines: Path, loader: Path) -> None:
    """The import error holds the problems of all files, each with its line and caret, and the count."""
    write(pipelines, "one", "ownr: x\n")
    write(pipelines, "two", "tagz: [x]\n")

    with pytest.raises(ConfigError) as caught:
        raise_problems(loader)

    text = str(caught.value)
    assert 'did you mean "owner"' in text
    assert 'did you mean "tags"' in text
    assert "one.yaml:8:1" in text


def test_our_own_failure_hides_no_other(pipelines: Path, loader: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a pipeline that passes the check and cannot be built takes no other DAG with it, and is told."""
    monkeypatch.setattr("watcher.dags.factory._BUILDERS", {})
    write(pipelines, "orders")

    assert build_dags(loader) == {}
    with pytest.raises(ConfigError, match=r"orders\.yaml: KeyError: 'ingest'"):
        raise_problems(loader)


def test_no_problem(pipelines: Path, loader: Path) -> None:
    """A folder in order, or an empty one, raises nothing."""
    raise_problems(loader)
    write(pipelines, "orders")
    raise_problems(loader)


def test_environment(pipelines: Path, loader: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """WATCHER__ENVIRONMENT chooses the block of `environments` for Airflow as it does for the daemon."""
    write(pipelines, "orders", "environments: {dev: {tags: [playground]}}\n")

    assert "playground" not in build_dags(loader)["orders"].tags
    monkeypatch.setenv("WATCHER__ENVIRONMENT", "dev")
    assert "playground" in build_dags(loader)["orders"].tags


def test_a_task_builds_its_own_dag_alone(pipelines: Path, loader: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that runs one task reads the one file whose text names the DAG, and the result is the same DAG."""
    write(pipelines, "orders")
    write(pipelines, "orders_archive")
    whole = build_dags(loader)["orders"]
    read: list[str] = []
    monkeypatch.setattr(
        "watcher.pipeline.load.read_file", lambda path, *rest: read.append(path.name) or real(path, *rest)
    )
    from watcher.pipeline.reader import read_file as real

    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "orders")
    dags = build_dags(loader)

    assert list(dags) == ["orders"]
    assert read == ["orders.yaml"]
    assert dags["orders"].doc_md == whole.doc_md


def test_a_name_that_no_text_shows(pipelines: Path, loader: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a look at the texts cannot tell the file, all are loaded and the one DAG is still found."""
    path = write(pipelines, "orders")
    path.write_text(path.read_text().replace("name: orders\n", "name: ${STAGE}_orders\n", 1))
    write(pipelines, "customers")
    monkeypatch.setenv("STAGE", "dev")
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "dev_orders")

    assert list(build_dags(loader)) == ["dev_orders"]


def test_folder_beside_airflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without WATCHER__PIPELINES it is the folder `pipelines` beside the one that the loader lies in, nearest to the top first."""
    monkeypatch.delenv("WATCHER__PIPELINES", raising=False)
    near = tmp_path / "airflow" / "dags" / "watcher_pipelines.py"
    (tmp_path / "airflow" / "dags").mkdir(parents=True)
    assert pipelines_folder(near) is None
    (tmp_path / "airflow" / "pipelines").mkdir()
    assert pipelines_folder(near) == tmp_path / "airflow" / "pipelines"
    (tmp_path / "pipelines").mkdir()
    assert pipelines_folder(near) == tmp_path / "pipelines"


def test_missing_folder(tmp_path: Path, loader: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is not there gives no DAG, and the import error names the variable to set."""
    monkeypatch.setenv("WATCHER__PIPELINES", str(tmp_path / "nowhere"))

    assert build_dags(loader) == {}
    with pytest.raises(ConfigError, match="set WATCHER__PIPELINES"):
        raise_problems(loader)


def test_parsing_is_light() -> None:
    """Reading the DAG file imports nothing of what only a task needs."""
    program = (
        "import sys, airflow.sdk; before = set(sys.modules); from watcher.dags import build_dags; "
        "print(*sorted(set(sys.modules) - before))"
    )
    modules = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"dlt", "duckdb", "psycopg2", "pandas", "pyarrow", "aiohttp", "sqlalchemy"}

    assert "watcher.dags.operators.ingestion" in modules
    assert heavy.isdisjoint(name.partition(".")[0] for name in modules)
