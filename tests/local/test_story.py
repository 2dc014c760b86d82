"""The story of `make run` says what happened in the words a person wants, and counts the runs that ended."""

from __future__ import annotations

import json

import pytest

from local.story import Story


@pytest.mark.parametrize(
    ("fact", "told"),
    [
        (
            {
                "event": "changes_waiting",
                "pipeline": "orders",
                "changes": 19,
                "limit": 20,
                "message": "19 changes wait",
            },
            "orders         19 of 20 changes waiting",
        ),
        (
            {
                "event": "changes_waiting",
                "pipeline": "partner_files",
                "changes": 2,
                "message": "2 changes wait: files 2 of 3",
            },
            "partner_files  2 changes wait: files 2 of 3",
        ),
        (
            {
                "event": "batch_fired",
                "pipeline": "orders",
                "changes": 1023,
                "reason": "changes 1023 >= 20",
                "dag_run_id": "watcher__20261122T141006Z__b000017",
            },
            "orders         1,023 changes -> run watcher__20261122T141006Z__b000017 (because changes 1023 >= 20)",
        ),
        (
            {"event": "run_succeeded", "pipeline": "orders", "message": "b000017 succeeded in 6 s"},
            "orders         b000017 succeeded in 6 s",
        ),
        (
            {"event": "airflow_lost", "message": "Airflow does not answer"},
            "watcher        Airflow does not answer",
        ),
        ({"event": "detection_recorded", "pipeline": "orders", "changes": 3, "message": "3 changes found"}, None),
    ],
)
def test_a_fact_is_told_in_one_line(fact: dict[str, object], told: str | None) -> None:
    """Each fact worth a line has its sentence; the others are silent."""
    assert Story().tell(json.dumps(fact)) == told


def test_the_same_sentence_is_told_once() -> None:
    """A line that says nothing new is left out, per pipeline."""
    story = Story()
    line = json.dumps({"event": "gate_closed", "pipeline": "orders", "message": "paused"})
    other = json.dumps({"event": "gate_closed", "pipeline": "other", "message": "paused"})
    assert [story.tell(line) is None, story.tell(line) is None, story.tell(other) is None] == [False, True, False]


def test_what_is_no_json_is_shown_as_it_is() -> None:
    """A traceback or an error of the start is never hidden."""
    story = Story()
    assert story.tell("error[port-taken]: 8781 is taken\n") == "error[port-taken]: 8781 is taken"
    assert story.tell("[1]\n") == "[1]"
    assert story.tell("\n") is None


def test_ended_runs_are_counted_by_state() -> None:
    """`make run --exit-after` leans on the count."""
    story = Story()
    for event in ("run_succeeded", "run_failed", "run_succeeded", "batch_fired"):
        story.tell(json.dumps({"event": event, "pipeline": "orders", "message": event}))
    assert (story.runs, story.ended) == (3, {"succeeded": 2, "failed": 1})
