"""DAG files as people write them, read as text: which Airflow sensors wait in them, and what replaces each."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from watcher.adopt import Adoption, adopt
from watcher.adopt.writing import scalar
from watcher.pipeline.load import load_file

DAGS = Path(__file__).with_name("dags")
HEAD = """
from datetime import timedelta
from airflow.sdk import DAG
from airflow.providers.standard.sensors.filesystem import FileSensor
from airflow.providers.common.sql.sensors.sql import SqlSensor
from airflow.providers.amazon.aws.sensors.s3 import S3KeySensor
from airflow.providers.http.sensors.http import HttpSensor
from airflow.providers.standard.sensors.external_task import ExternalTaskSensor
dag = DAG("d", schedule=None)
"""


def read(folder: Path, body: str, head: str = HEAD) -> Adoption:
    (folder / "d.py").write_text(head + body, encoding="utf-8")
    return adopt(folder)


def only(adoption: Adoption) -> dict[str, object]:
    """The keys of the one source that was made."""
    (pipeline,) = adoption.pipelines
    ((_, made),) = pipeline.sources
    return dict(made.keys)


def test_the_examples_are_read_whole() -> None:
    """Styles, groups, loops, aliases and defaults: each task under its whole id, each with its way of waiting."""
    found = {
        f"{sensor.dag_id}.{sensor.task_id}": (sensor.name, sensor.mode)
        for pipeline in adopt(DAGS).pipelines
        for sensor, _ in pipeline.sources
    }
    assert found == {
        "hard.unknown_path": ("FileSensor", "poke"),
        "hard.relative_path": ("FileSensor", "unknown"),
        "hard.template": ("SqlSensor", "poke"),
        "landing.wait_for_drop": ("FileSensor", "poke"),
        "landing.wait_for_rows": ("SqlSensor", "reschedule"),
        "nightly.files.wait_orders": ("FileSensor", "deferrable"),
        "nightly.files.wait_lines": ("FileSensor", "deferrable"),
        "nightly.wait_for_bucket": ("S3KeySensor", "deferrable"),
        "nightly.rates": ("HttpSensor", "poke"),
        "nightly.upstream": ("ExternalTaskSensor", "reschedule"),
    }


def test_what_cannot_be_translated_is_told_with_its_line() -> None:
    """One reason each, none dropped in silence."""
    told = {(each.file.name, each.line): each.why for each in adopt(DAGS).untranslated}
    assert told == {
        ("hard.py", 21): "which DAG it belongs to is not known without running the file",
        ("hard.py", 31): "what a function of your own decides cannot be read",
        ("hard.py", 32): "it waits for a time: give the DAG a schedule",
        ("hard.py", 33): "it is a class of your own",
        ("hard.py", 34): "it is mapped: what over is known at run time only",
        ("hard.py", 35): "its task_id is not a constant",
        ("hard.py", 39): "the id of its DAG is not a constant",
        ("hard.py", 45): "what a function of your own decides cannot be read",
    }


def test_a_pipeline_with_something_to_do_is_not_enabled() -> None:
    """With a part of its conditions a DAG would run too early; one that is complete runs on all of them."""
    texts = {each.name: YAML(typ="safe").load(each.text) for each in adopt(DAGS).pipelines}
    assert (texts["hard"]["enabled"], texts["nightly"]["enabled"]) == (False, False)
    assert "enabled" not in texts["landing"]
    assert texts["landing"]["trigger"]["all"] == [{"source": "drop", "changes": 1}, {"source": "rows", "changes": 1}]


def test_what_stood_before_a_wait_is_told() -> None:
    """A run that begins with the change would do these tasks after it."""
    (hard,) = (each for each in adopt(DAGS).pipelines if each.name == "hard")
    assert "# note: it stood after before: split the DAG there" in hard.text


@pytest.mark.parametrize(
    ("path", "folder", "pattern"),
    [
        ("/data/in/orders.csv", "/data/in", "orders.csv"),
        ("/data/in/*.csv", "/data/in", "*.csv"),
        ("/data/in/", "/data/in", "**/*"),
        ("/data/{{ ds }}/orders.csv", "/data", "*/orders.csv"),
        ("/data/in_{{ ds_nodash }}.csv", "/data", "in_*.csv"),
        ("/data/**/x.csv", "/data", "**/x.csv"),
        ("/orders.csv", "/", "orders.csv"),
    ],
)
def test_a_path_becomes_folder_and_pattern(tmp_path: Path, path: str, folder: str, pattern: str) -> None:
    """The fixed part is the folder, the rest the pattern; a template is any name."""
    keys = only(read(tmp_path, f"FileSensor(task_id='t', dag=dag, filepath={path!r})"))
    assert (keys["path"], keys["pattern"]) == (folder, pattern)


@pytest.mark.parametrize(
    ("arguments", "path", "pattern"),
    [
        ("bucket_key='s3://lake/a/b.json'", "s3://lake/a", "b.json"),
        ("bucket_name='lake', bucket_key='a/*.json', wildcard_match=True", "s3://lake/a", "*.json"),
        ("bucket_key=['s3://lake/a/{{ ds }}/b']", "s3://lake/a", "*/b"),
    ],
)
def test_a_key_becomes_folder_and_pattern(tmp_path: Path, arguments: str, path: str, pattern: str) -> None:
    """With the bucket in the key or beside it."""
    keys = only(read(tmp_path, f"S3KeySensor(task_id='t', dag=dag, {arguments})"))
    assert (keys["path"], keys["pattern"], keys["connection"]) == (path, pattern, "aws_default")


@pytest.mark.parametrize(
    "arguments",
    [
        "S3KeySensor(task_id='t', dag=dag, bucket_key=['s3://a/b', 's3://a/c'])",
        "S3KeySensor(task_id='t', dag=dag, bucket_key='s3://a/b', check_fn=len)",
        "S3KeySensor(task_id='t', dag=dag, bucket_key='s3://a/b', use_regex=True)",
        "SqlSensor(task_id='t', dag=dag, conn_id='c', sql='SELECT {{ ds }}')",
        "SqlSensor(task_id='t', dag=dag, conn_id='c', sql='wait.sql')",
        "SqlSensor(task_id='t', dag=dag, conn_id='c', sql='SELECT 1', parameters={'a': 1})",
        "SqlSensor(task_id='t', dag=dag, conn_id=some(), sql='SELECT 1')",
        "HttpSensor(task_id='t', dag=dag, endpoint='a?token=x')",
        "HttpSensor(task_id='t', dag=dag, endpoint='a', method='POST')",
        "HttpSensor(task_id='t', dag=dag, endpoint='a', headers={'Authorization': 'Bearer c4nary'})",
        "HttpSensor(task_id='t', dag=dag, endpoint='a', request_params={'api_key': 'c4nary'})",
        "HttpSensor(task_id='t', dag=dag, endpoint='a', response_check=len)",
        "ExternalTaskSensor(task_id='t', dag=dag, external_dag_id='{{ params.d }}')",
        "FileSensor(task_id='t', dag=dag, filepath=f'/data/{name()}')",
    ],
)
def test_what_a_person_must_finish_is_not_enabled(tmp_path: Path, arguments: str) -> None:
    """It is written with what to do, is valid, and holds no secret of the DAG."""
    (pipeline,) = read(tmp_path, arguments).pipelines
    ((_, made),) = pipeline.sources
    assert made.needs
    assert not made.ready
    assert "# TO DO: " in pipeline.text
    assert "c4nary" not in pipeline.text


def test_a_loop_over_what_is_not_constant_is_told(tmp_path: Path) -> None:
    """The tasks' ids are not known then; those of a dict's items are."""
    told = read(tmp_path, "for name in names():\n    FileSensor(task_id=name, dag=dag, filepath='/a/b.csv')\n")
    assert [each.why for each in told.untranslated] == ["its task_id is not a constant"]
    body = "for name, path in {'a': '/a/a.csv', 'b': '/b/b.csv'}.items():\n"
    (pipeline,) = read(tmp_path, body + "    FileSensor(task_id=name, dag=dag, filepath=path)\n").pipelines
    assert [made.keys["path"] for _, made in pipeline.sources] == ["/a", "/b"]


def test_names_that_clash_are_told_apart(tmp_path: Path) -> None:
    """Two tasks of one short name, two DAGs of one plain name, and a DAG that stands in two files."""
    sensor = "FileSensor(task_id='{}', dag={}, filepath='/a/x')\n"
    body = sensor.format("wait_for_x", "dag") + sensor.format("x", "dag")
    other = "".join(f"e = DAG('{dag_id}')\n{sensor.format('x', 'e')}" for dag_id in ("d.1", "d_1"))
    (tmp_path / "e.py").write_text(HEAD + "FileSensor(task_id='y', dag=dag, filepath='/a/y')\n")
    adoption = read(tmp_path, body + other)
    assert [each.name for each in adoption.pipelines] == ["d", "d_1", "d_1_2"]
    assert [made.source_id for _, made in adoption.pipelines[0].sources] == ["x", "x_2"]
    assert [each.why for each in adoption.untranslated] == [f"DAG d stands in {tmp_path}/d.py too"]


@pytest.mark.parametrize(
    "body", ["(" * 5000, "x = " + "-" * 50_000 + "1  # FileSensor", "\0", "FileSensor(", "é".encode("latin-1")]
)
def test_a_file_that_is_no_dag_hides_no_other(tmp_path: Path, body: str | bytes) -> None:
    """Broken, deep or binary: it is told or left out, and the next file is read."""
    content = body if isinstance(body, bytes) else body.encode()
    (tmp_path / "a.py").write_bytes(b"# FileSensor\n" + content)
    adoption = read(tmp_path, "FileSensor(task_id='t', dag=dag, filepath='/a/b.csv')")
    assert [each.name for each in adoption.pipelines] == ["d"]
    assert [each.file.name for each in adoption.untranslated] in ([], ["a.py"])


@settings(max_examples=60, deadline=None)
@given(text=st.text(min_size=1, max_size=60))
def test_any_text_of_a_dag_stays_one_value(text: str) -> None:
    """Quotes, line ends, `${...}` and control characters neither end a value nor become one of ours."""
    assert YAML(typ="safe", pure=True).load(f"a: {scalar(text)}\n")["a"].replace("$$", "$") == text


@settings(max_examples=60, deadline=None)
@given(sql=st.text(min_size=1, max_size=80), name=st.text(min_size=1, max_size=40))
def test_whatever_stands_in_a_dag_the_file_is_valid(
    tmp_path_factory: pytest.TempPathFactory, sql: str, name: str
) -> None:
    """A query and ids of any text make a pipeline that loads with this very query, or are told."""
    folder = tmp_path_factory.mktemp("dags")
    body = f"SqlSensor(task_id={name!a}, dag=dag, conn_id='c', sql={sql!a})"
    adoption = read(folder, body)
    assert len(adoption.pipelines) + len(adoption.untranslated) == 1
    for pipeline in adoption.pipelines:
        path = folder / f"{pipeline.name}.yaml"
        path.write_text(pipeline.text, encoding="utf-8")
        loaded = load_file(path, variables={})
        assert loaded.errors == ()
