"""SQL in Snowflake, on a real server of its protocol over TLS and with the hook of the provider as it is."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException

from local.snowflake import SnowflakeServer
from watcher.dags.operators.databases import hook_of
from watcher.dags.operators.snowflake import SnowflakeOperator, build
from watcher.errors import ConfigError
from watcher.pipeline.graph import build_graph
from watcher.pipeline.model import Pipeline
from watcher.pipeline.secrets import Secret

# the connector calls what its library no longer likes
pytestmark = pytest.mark.filterwarnings("ignore:X509.get_subject is deprecated:DeprecationWarning")


class Ran:
    """The result of a task, and what it pushed itself."""

    def __init__(self, **options: Any) -> None:
        self.pushed: dict[str, Any] = {}
        dag = DAG("orders")
        dag.fileloc = str(options.pop("near", Path("/nowhere/at/all/dags.py")))
        self.operator = SnowflakeOperator(task_id="snowflake_publish", dag=dag, **options)

    def run(self) -> list[str]:
        return self.operator.execute({"ti": SimpleNamespace(xcom_push=self.push)})  # type: ignore[typeddict-item]

    def push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def ask(query: str) -> list[Any]:
    return list(hook_of("snowflake_default").get_records(query))


def test_statements_and_query_ids(snowflake: SnowflakeServer) -> None:
    """A text of several statements runs one after the other; each one's query id is in the result, no row is."""
    ids = Ran(
        sql="create or replace table made (id int, word text); insert into made values (1, 'a;b'), (2, null); select * from made;"
    ).run()

    assert len(ids) == len(set(ids)) == 3
    assert all(isinstance(one, str) and len(one) >= 36 for one in ids)
    assert ask("select id, word from made order by id") == [(1, "a;b"), (2, None)]


def test_parameters_are_bound(snowflake: SnowflakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Parameters arrive as the values they are, also as part of some statements only; a secret one is nowhere in the log."""
    word = "it's; drop table bound; -- {{ dag_run.conf }} $(id)"
    ran = Ran(
        sql="create or replace table bound (id int, word text, hidden text); insert into bound values (%(id)s, %(word)s, %(token)s)",
        parameters={"id": 7, "word": word, "token": Secret("c4nary-value")},
    )
    ran.run()
    log = capsys.readouterr()

    assert ask("select id, word, hidden from bound") == [(7, word, "c4nary-value")]
    assert "runs its SQL in snowflake_default" in log.out
    assert "c4nary-value" not in log.out + log.err + repr(ran.pushed)


def test_a_file(snowflake: SnowflakeServer, pipelines: Path) -> None:
    """SQL may stand in a file of the pipelines folder, read when the task runs."""
    (pipelines / "sql").mkdir()
    ran = Ran(file="sql/publish.sql")
    (pipelines / "sql" / "publish.sql").write_text("create or replace table filed as select 'é' as word;\n", "utf-8")

    assert len(ran.run()) == 1
    assert ask("select word from filed") == [("é",)]


def test_a_failing_statement(snowflake: SnowflakeServer) -> None:
    """The task fails with Snowflake's words; what ran before it stays, and its query ids are in XCom."""
    from snowflake.connector.errors import ProgrammingError

    ran = Ran(sql="create or replace table before_it (id int); select * from not_there; create table after_it (id int)")
    with pytest.raises(ProgrammingError, match=r"(?i)not_there"):
        ran.run()

    assert len(ran.pushed["return_value"]) == 1
    assert ask("select count(*) from before_it") == [(0,)]
    assert ask("select count(*) from information_schema.tables where table_name = 'AFTER_IT'") == [(0,)]


def test_settings_go_before_the_connection(snowflake: SnowflakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Warehouse, role, database and schema of the task win over those of the connection; what is not said stays."""
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", snowflake.connection(warehouse="SMALL", role="READER"))
    ran = Ran(sql="create or replace table placed as select 1 as id", conn_id="other",
              settings={"warehouse": "LARGE", "schema": "PUBLIC", "database": "DB2"})  # fmt: skip
    ran.run()
    config = ran.operator.get_db_hook()._get_conn_params()  # type: ignore[attr-defined]

    assert (config["warehouse"], config["role"], config["database"]) == ("LARGE", "READER", "DB2")
    assert ask("select id from DB2.PUBLIC.placed") == [(1,)]


def test_another_kind_of_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is not Snowflake is refused by its type."""
    monkeypatch.setenv("AIRFLOW_CONN_PG", "postgresql://me@127.0.0.1:1/db")
    with pytest.raises(AirflowException, match='"pg" is of type postgres, not snowflake'):
        Ran(sql="select 1", conn_id="pg").run()


@pytest.mark.parametrize(
    "options", [{}, {"sql": "select 1", "file": "a.sql"}, {"sql": "x", "settings": {"passwrd": "x"}}]
)
def test_wrong_options_do_not_load(options: dict[str, Any]) -> None:
    """What cannot work is refused when the DAG is read."""
    with pytest.raises(ConfigError):
        Ran(**options)


def test_built_from_a_pipeline() -> None:
    """A task of the file becomes its operator, which renders nothing and reads no file as a template."""
    pipeline = Pipeline.model_validate(
        {
            "name": "orders",
            "sources": [{"source_id": "a", "source_type": "filesystem", "path": "/a"}],
            "snowflake": [
                {"name": "publish", "file": "publish.sql", "connection": "sf", "warehouse": "LOAD", "role": "LOADER"},
                {"name": "grant", "sql": "{{ dag_run.conf }}", "parameters": {"day": "{{ ds }}"}},
            ],
        }
    )
    tasks = build_graph(pipeline).tasks
    publish, grant = (build(tasks[f"snowflake_{name}"], pipeline, {"task_id": name}) for name in ("publish", "grant"))

    assert (publish.file, publish.conn_id) == ("publish.sql", "sf")
    assert (publish.hook_params["warehouse"], publish.hook_params["role"]) == ("LOAD", "LOADER")
    assert (grant.sql, grant.conn_id, grant.parameters) == (
        "{{ dag_run.conf }}",
        "snowflake_default",
        {"day": "{{ ds }}"},
    )
    assert (grant.template_fields, grant.template_ext, publish.template_ext) == ((), (), ())
