"""The task that checks one model or table: all its rules run, then it is red if one of severity error failed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.sql.operators.sql import BaseSQLOperator, SQLCheckResult
from airflow.sdk.exceptions import AirflowException

from watcher.dags.operators.checks import Finding, finding_of, question_of
from watcher.dags.operators.databases import Session, reading, reading_target
from watcher.dags.operators.target import DUCKDB, Target, target_of
from watcher.errors import SourceError
from watcher.pipeline.graph import Task, task_id
from watcher.pipeline.model import Pipeline
from watcher.pipeline.tasks import Validation

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from airflow.sdk import Context

XCOM_RESULT: Final = "return_value"


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the result table. `failing` and `checked` are None where the rule could not be asked; `error` says why."""

    rule: str
    table: str | None
    column: str | None
    severity: str
    passed: bool
    failing: int | None
    checked: int | float | None
    seconds: float
    error: str | None = None
    name: str | None = None

    @property
    def sentence(self) -> str:
        """As the log has it.

        >>> Result("unique", "orders", "id", "error", False, 3, 1042, 0.01).sentence
        'unique orders.id: 3 of 1,042 fail'
        """
        about = ".".join(part for part in (self.table, self.column) if part)
        head = " ".join(part for part in (self.rule, about, f"({self.name})" if self.name else "") if part)
        return f"{head}: {self.error or self._found()}"

    def _found(self) -> str:
        if self.rule == "freshness":
            return "holds no value" if self.checked is None else f"the newest is {self.checked:,.0f} s old"
        if self.rule in ("row_count", "sql"):
            return f"{self.checked:,} rows"
        return f"{self.failing:,} of {self.checked:,} fail"


class ValidationOperator(BaseSQLOperator):
    """Asks the database what each rule wants to know and answers one line per rule, counts only, as its XCom result.

    All rules run. A failed rule of severity `warn` is logged and leaves the task green; one of severity `error`, and one that
    could not be asked (a missing column), makes it red in the end, with the whole table in XCom. Rules without a connection
    of their own use `conn_id`, else `target`, what ingest writes to. Nothing is rendered as a template.
    """

    template_fields = ()

    def __init__(
        self, *, rules: Sequence[Validation], target: Target | None = None, conn_id: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(conn_id=conn_id, **kwargs)
        self.rules = tuple(rules)
        self.target = target or Target(DUCKDB, "main")

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """The result table. Raises AirflowException when rules of severity error fail, or a database is away."""
        now = datetime.now(UTC)
        found = dict(self._results(now))
        results = [found[place] for place in range(len(self.rules))]
        for result in results:
            self._log(result)
        self.check_results = [_for_lineage(result) for result in results]
        table = [asdict(result) for result in results]
        broken = [result for result in results if not result.passed and result.severity == "error"]
        if broken:
            context["ti"].xcom_push(key=XCOM_RESULT, value=table)  # a task that fails returns nothing
            told = "; ".join(result.sentence for result in broken)
            raise AirflowException(f"{len(broken)} of {len(results)} rules failed: {told}")
        return table

    def _results(self, now: datetime) -> Iterator[tuple[int, Result]]:
        wanted = [rule.connection or self.conn_id for rule in self.rules]
        for connection in dict.fromkeys(wanted):
            with self._session(connection) as session:
                for place, rule in enumerate(self.rules):
                    if wanted[place] == connection:
                        yield place, _result(rule, session, now)

    def _session(self, connection: str | None) -> AbstractContextManager[Session]:
        return reading_target(self.target) if connection is None else reading(connection)

    def _log(self, result: Result) -> None:
        if result.passed:
            self.log.info("passed: %s", result.sentence)
        elif result.severity == "warn":
            self.log.warning("warning: %s", result.sentence)
        else:
            self.log.error("FAILED: %s", result.sentence)


def _result(rule: Validation, session: Session, now: datetime) -> Result:
    started = time.perf_counter()
    finding, error = Finding(passed=False, failing=0, checked=None), None
    try:
        finding = finding_of(rule, session.ask(question_of(rule, session.quote)), now)
    except SourceError as refused:
        error = str(refused)
    return Result(
        rule=rule.rule,
        table=rule.model or rule.table,
        column=rule.column,
        severity=rule.severity,
        passed=finding.passed,
        failing=None if error else finding.failing,
        checked=finding.checked,
        seconds=round(time.perf_counter() - started, 3),
        error=error,
        name=rule.name,
    )


def _for_lineage(result: Result) -> SQLCheckResult:
    return SQLCheckResult(
        name=result.name or f"{result.rule}.{result.column or result.table}",
        check_type=result.rule,
        success=result.passed,
        severity=result.severity,
        column=result.column,
        table=result.table,
        actual=None if result.failing is None else str(result.failing),
    )


def build(task: Task, pipeline: Pipeline, options: Mapping[str, Any]) -> ValidationOperator:
    """The operator of a validation task: all rules whose subject gives this task's id."""
    rules = tuple(rule for rule in pipeline.validations if task_id("validate", rule.subject) == task.task_id)
    return ValidationOperator(rules=rules, target=target_of(pipeline), **options)
