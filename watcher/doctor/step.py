"""Whether Airflow runs the definition that stands in the pipeline's file now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from watcher.airflow_api import AirflowApi, DagState
from watcher.errors import AirflowError
from watcher.pipeline.definition import mark
from watcher.pipeline.model import Pipeline

AT_ONCE = 8
ABOUT_ALL = frozenset({"airflow-unreachable", "airflow-token", "airflow-address", "airflow-limited"})
"""Codes that say nothing about one DAG."""

Word = Literal["in step", "behind", "not ours", "unknown", "not generated"]


@dataclass(frozen=True, slots=True)
class Step:
    """How a pipeline's DAG stands to its file: `ours` and `airflow` are the marks of the two definitions."""

    pipeline: str
    word: Word
    ours: str
    airflow: str | None = None
    parsed_at: datetime | None = None

    @property
    def sentence(self) -> str:
        """For people; empty when there is nothing to tell."""
        if self.word == "behind":
            when = f", parsed {self.parsed_at:%Y-%m-%d %H:%M} UTC" if self.parsed_at else ""
            return (
                f"Airflow still runs an older definition of {self.pipeline} "
                f"({self.airflow}{when}; the file is now {self.ours})"
            )
        if self.word == "not ours":
            return f"Airflow's DAG {self.pipeline} is not made from this pipeline's file"
        return ""

    @property
    def advice(self) -> str:
        """What to do about it; empty when nothing needs doing."""
        if self.word == "behind":
            return (
                "it follows at the next parse ([dag_processor] min_file_process_interval); if it does not, compare "
                "WATCHER__PIPELINES, WATCHER__ENVIRONMENT and the variables of the file on both sides"
            )
        if self.word == "not ours":
            return f"rename one of the two, or say `dag_id: {self.pipeline}` in the file to run that DAG"
        return ""


def step_of(pipeline: Pipeline, state: DagState | None) -> Step:
    """Compares the marks. A DAG that Airflow does not know, or whose file is gone or broken, is `unknown`."""
    ours = mark(pipeline.fingerprint)
    if not pipeline.generated:
        return Step(pipeline.name, "not generated", ours)
    if state is None or state.is_stale:
        return Step(pipeline.name, "unknown", ours)
    if state.fingerprint is None:
        return Step(pipeline.name, "not ours", ours, None, state.parsed_at)
    word: Word = "in step" if state.fingerprint == ours else "behind"
    return Step(pipeline.name, word, ours, state.fingerprint, state.parsed_at)


async def state_of(api: AirflowApi, dag_id: str) -> DagState | None:
    """The DAG's state; None also where Airflow cannot tell of this one alone. Raises AirflowError when all is in trouble."""
    try:
        return await api.dag(dag_id)
    except AirflowError as error:
        if error.code in ABOUT_ALL:
            raise
        return None


async def steps_of(api: AirflowApi, pipelines: Iterable[Pipeline]) -> Mapping[str, Step]:
    """The steps of all pipelines by name, a few questions at a time. Raises AirflowError when Airflow as a whole is of no use."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(pipeline: Pipeline) -> Step:
        if not pipeline.generated:
            return step_of(pipeline, None)
        async with turns:
            return step_of(pipeline, await state_of(api, pipeline.name))

    steps = await asyncio.gather(*(one(pipeline) for pipeline in pipelines))
    return {step.pipeline: step for step in steps}
