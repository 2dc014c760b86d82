"""The task that builds models with dbt, in the database that ingest has loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException
from airflow.sdk.log import mask_secret

from watcher.dags.changes import batch, detected_changes
from watcher.dags.operators.dbt_profile import make_profile
from watcher.dags.operators.dbt_project import EXECUTABLE, find_project
from watcher.dags.operators.ingestion import DETECTED_CHANGES
from watcher.dags.operators.selection import Loaded, asks_for_changed, changed, expand, loaded_by
from watcher.dags.operators.target import Target, target_of
from watcher.errors import ConfigError
from watcher.pipeline.graph import Task
from watcher.pipeline.model import Pipeline
from watcher.pipeline.secrets import reveal, secrets_in
from watcher.pipeline.tasks import Transformation

if TYPE_CHECKING:
    from airflow.sdk import Context

    from watcher.dags.operators.dbt_run import DbtRun, Ended

_RESULT = "return_value"
_SETTINGS = {"DO_NOT_TRACK": "1", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}

Models = dict[str, dict[str, Any]]
"""Model -> its `status`, `rows` (None where the database does not tell) and `seconds`; what the task gives to XCom."""


class TransformationOperator(BaseOperator):
    """Builds one transformation's models and answers how each ended.

    `loads` is what the pipeline's ingest makes; a `select` with the word `changed` builds the children of those that the run's
    batch names. `announces` pushes the batch's sources to XCom. Nothing of a conf is ever rendered, nor handed to dbt.
    """

    template_fields = ()

    def __init__(
        self,
        *,
        transformation: Transformation,
        target: Target,
        loads: Sequence[Loaded] = (),
        announces: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.transformation = transformation
        self.target = target
        self.loads = tuple(loads)
        self.announces = announces
        self._run: DbtRun | None = None

    def execute(self, context: Context) -> Models:
        """How each model ended; the same is in XCom when one fails.

        Raises ConfigError for what is missing or cannot be, AirflowException in the failing model's own words.
        """
        if self.announces:
            context["ti"].xcom_push(key=DETECTED_CHANGES, value=detected_changes(context))
        project = find_project(Path(self.dag.fileloc))
        select = self._select(context, project.sources)
        if not select:
            self.log.info("%s: none of its sources has changed, nothing to build", self.transformation.model_name)
            return {}
        variables = self._variables(separate=project.executable is not None)
        profile = make_profile(self.target)
        os.environ.update(_SETTINGS)  # read by Cosmos and dbt when they are imported
        from watcher.dags.operators.dbt_run import Command, DbtRun

        self._run = DbtRun(project, profile, self.log)
        self.log.info("dbt run --select %s in %s, schema %s", select, self.target.destination, self.target.schema)
        ended = self._run.run(Command(self.task_id, select, variables, self.transformation.full_refresh), context)
        return self._told(ended, select, context)

    def on_kill(self) -> None:
        """Stop a separate dbt."""
        if self._run is not None:
            self._run.stop()

    def _select(self, context: Context, known: Any) -> str:
        written = self.transformation.select or self.transformation.model_name
        if not asks_for_changed(written):
            return written
        moved = changed(self.loads, batch(context))
        return expand(written, moved, known() if moved else {})

    def _variables(self, *, separate: bool) -> Mapping[str, Any]:
        secrets = list(secrets_in(self.transformation.vars))
        if secrets and separate:
            message = f"vars with a secret cannot go to a separate dbt ({EXECUTABLE}): all can read its command line"
            raise ConfigError(message, code="bad-value")
        for secret in secrets:
            mask_secret(secret.reveal())
        return reveal(self.transformation.vars)

    def _told(self, ended: Ended, select: str, context: Context) -> Models:
        models: Models = {
            model.name: {"status": model.status, "rows": model.rows, "seconds": model.seconds} for model in ended.models
        }
        name = self.transformation.model_name
        if ended.failure is not None:
            context["ti"].xcom_push(key=_RESULT, value=models)
            self.log.error("%s", ended.failure)
            raise AirflowException(f"{name}: {ended.failure}")
        if not models and not asks_for_changed(self.transformation.select or ""):
            near = get_close_matches(select, ended.known, 1)
            hint = f'did you mean "{near[0]}"?' if near else f"{len(ended.known)} models are known"
            raise ConfigError(f'{name}: the dbt project has nothing for select "{select}"; {hint}', code="bad-value")
        for model, end in models.items():
            self.log.info("%s: %s%s", model, end["status"], "" if end["rows"] is None else f", rows: {end['rows']:,}")
        return models


def build(task: Task, pipeline: Pipeline, options: Mapping[str, Any]) -> BaseOperator:
    """The task `transform_<model_name>`. Raises ConfigError when the sources are loaded into several destinations."""
    return TransformationOperator(
        transformation=next(each for each in pipeline.transformations if each.model_name == task.subject),
        target=target_of(pipeline),
        loads=loaded_by(pipeline),
        announces=not task.after,
        **options,
    )
