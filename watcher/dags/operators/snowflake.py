"""The task that runs one text or file of SQL in Snowflake, statement by statement, and answers the query ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sdk.exceptions import AirflowException
from airflow.sdk.log import mask_secret

from watcher.dags.folder import text_of
from watcher.dags.operators.validation import XCOM_RESULT
from watcher.errors import ConfigError
from watcher.pipeline.graph import Task, task_id
from watcher.pipeline.model import Pipeline
from watcher.pipeline.secrets import reveal

if TYPE_CHECKING:
    from airflow.sdk import Context

DEFAULT_CONNECTION: Final = "snowflake_default"
_SETTINGS: Final = frozenset({"warehouse", "role", "database", "schema", "session_parameters"})


class SnowflakeOperator(SQLExecuteQueryOperator):
    """Runs `sql`, or the text of `file` in the pipelines folder, and answers the query ids; never rows.

    Each statement commits by itself. `parameters` are bound by the driver as `%(name)s`; with parameters a percent sign of the SQL
    is written `%%`. `settings` (warehouse, role, database, schema, session_parameters) go before those of the connection.
    Nothing is rendered as a template, so nothing of a run's conf can become SQL, and no value of a parameter is logged.
    """

    template_fields: Sequence[str] = ()
    template_ext: Sequence[str] = ()

    def __init__(
        self,
        *,
        sql: str | None = None,
        file: str | None = None,
        conn_id: str = DEFAULT_CONNECTION,
        parameters: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if (sql is None) == (file is None):
            raise ConfigError("a snowflake task needs either sql or file", code="bad-value")
        if unknown := set(settings or ()) - _SETTINGS:
            raise ConfigError(f"unknown settings: {', '.join(sorted(unknown))}", code="bad-value")
        kwargs = {"split_statements": True, "autocommit": True, **kwargs}
        # silent about statements: their parameters may be secrets
        hook_params = {**(settings or {}), "log_sql": False}
        super().__init__(
            sql=sql or "", conn_id=conn_id, parameters=dict(parameters or {}), hook_params=hook_params, **kwargs
        )
        self.file = file

    def execute(self, context: Context) -> list[str]:
        """The ids of the statements, in their order; those before a failed one go to XCom too.

        Raises ConfigError for the file, AirflowException for a connection of another kind, else the error of the statement.
        """
        sql = self.sql if self.file is None else text_of(Path(self.dag.fileloc), self.file)
        hook: Any = self.get_db_hook()
        if hook.conn_type != "snowflake":
            raise AirflowException(f'connection "{self.conn_id}" is of type {hook.conn_type}, not snowflake')
        self.log.info("runs %s in %s", self.file or "its SQL", self.conn_id)
        try:
            hook.run(sql, self.autocommit, self._values(), split_statements=bool(self.split_statements))
        except Exception:
            context["ti"].xcom_push(key=XCOM_RESULT, value=list(hook.query_ids))  # a task that fails returns nothing
            raise
        return list(hook.query_ids)

    def _values(self) -> dict[str, Any] | None:
        written = dict(self.parameters or {})
        values = reveal(written)
        for key, value in values.items():
            if value != written[key]:
                mask_secret(value)
        return values or None


def build(task: Task, pipeline: Pipeline, options: Mapping[str, Any]) -> SnowflakeOperator:
    """The operator of a Snowflake task. Without a connection of its own it uses `snowflake_default`."""
    written = next(one for one in pipeline.snowflake if task_id("snowflake", one.name) == task.task_id)
    settings = {key: value for key in ("warehouse", "role") if (value := getattr(written, key)) is not None}
    return SnowflakeOperator(
        sql=written.sql,
        file=written.file,
        conn_id=written.connection or DEFAULT_CONNECTION,
        parameters=written.parameters,
        settings=settings,
        **options,
    )
