"""Every log line and metric of the daemon: one function per fact, named as a past fact, says it in both places."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import structlog

from watcher.detection import Detection
from watcher.errors import WatcherError
from watcher.events import metrics
from watcher.events.logs import LineWriter, hide, masked, start_logging

__all__ = ["LineWriter", "begin", "hide", "masked"]


def begin(form: str, level: str) -> LineWriter:
    """Open the log. Close the writer last, so that the final line is read."""
    return start_logging(
        form, level, written=lambda name: metrics.log_lines.labels(name).inc(), dropped=metrics.log_lines_dropped.inc
    )


def _log(level: str, event: str, /, **keys: Any) -> None:
    getattr(structlog.get_logger(), level)(event, **{key: value for key, value in keys.items() if value is not None})


def worth_a_line(count: int) -> bool:
    """A lasting failure is told at its 1st, 2nd, 4th, 8th ... time."""
    return count > 0 and count & (count - 1) == 0


def number(amount: int) -> str:
    """1042 -> 1,042."""
    return f"{amount:,}"


# the daemon itself


def daemon_started(version: str, *, pipelines: int, sources: int, store: str, airflow: str, ops: str) -> None:
    metrics.build.info({"version": version, "store": store.partition(":")[0]})
    message = (
        f"watcher {version}: {pipelines} pipelines, {sources} sources, metrics http://{ops}/metrics, Airflow {airflow}"
    )
    _log("info", "daemon_started", message=message, version=version, pipelines=pipelines, sources=sources, store=store)


def daemon_stopping(reason: str) -> None:
    _log(
        "info",
        "daemon_stopping",
        message=f"Stopping ({reason}): what is in hand is finished, what waits stays pending.",
    )


def daemon_stopped(seconds: float) -> None:
    _log("info", "daemon_stopped", message="Stopped. Bye.", seconds=round(seconds, 3))


def daemon_crashed(error: BaseException) -> None:
    _log("error", "daemon_crashed", code="internal", message="A bug of ours ended the daemon.", exc_info=error)


def pipelines_loaded(loaded: int, *, started: int, stopped: int, left: int, now: datetime) -> None:
    metrics.reload_successful.set(1)
    metrics.reload_success_time.set(now.timestamp())
    metrics.pipelines.labels("loaded").set(loaded)
    metrics.pipelines.labels("invalid").set(0)
    message = f"{loaded} pipelines loaded: {started} started, {stopped} stopped, {left} left as they are"
    _log("info", "pipelines_loaded", message=message, started=started, stopped=stopped, left=left)


def pipelines_refused(problems: list[str], invalid: int) -> None:
    metrics.reload_successful.set(0)
    metrics.pipelines.labels("invalid").set(invalid)
    message = f"Files refused, the version loaded before keeps running. {problems[0] if problems else ''}"
    _log("error", "pipelines_refused", message=message, count=len(problems), problems=problems[:20])


def stepped(service: str, now: datetime) -> None:
    metrics.last_step.labels(service).set(now.timestamp())


# looks


def look_ended(
    pipeline: str, source: str, kind: str, *, detection: Detection | None, seconds: float, now: datetime
) -> None:
    """A look that ended well, or None: another daemon had moved the cursor and the look counts for nothing."""
    found = detection is not None and detection.changes > 0
    metrics.looks.labels(pipeline, source, "changes" if found else "nothing").inc()
    metrics.look_duration.labels(kind).observe(seconds)
    metrics.source_up.labels(pipeline, source).set(1)
    metrics.last_look.labels(pipeline, source).set(now.timestamp())
    if detection is not None and detection.filtered:
        metrics.changes_ignored.labels(pipeline, source, "filtered").inc(detection.filtered)
    if detection is not None and detection.repeated:
        metrics.changes_ignored.labels(pipeline, source, "repeated").inc(detection.repeated)


def look_interval_set(pipeline: str, source: str, seconds: float) -> None:
    metrics.look_interval.labels(pipeline, source).set(seconds)


def first_look_done(pipeline: str, source: str, detection: Detection, *, seconds: float) -> None:
    """From here on every change is seen."""
    what = (
        f"{number(detection.changes)} changes since the beginning" if detection.changes else "changes count from now on"
    )
    message = f"{source}: first look done, {what}"
    _log("info", "first_look_done", pipeline=pipeline, source=source, seconds=round(seconds, 3), message=message)


def detection_recorded(pipeline: str, source: str, detection: Detection, *, now: datetime) -> None:
    for operation, count in detection.operations.items():
        metrics.changes.labels(pipeline, source, operation).inc(count)
    metrics.change_bytes.labels(pipeline, source).inc(detection.bytes)
    metrics.last_change.labels(pipeline, source).set(now.timestamp())
    message = f"{source}: {number(detection.changes)} changes found"
    _log("info", "detection_recorded", pipeline=pipeline, source=source, changes=detection.changes, message=message)


def look_failed(
    pipeline: str, source: str, kind: str, error: WatcherError, *, count: int, since: datetime | None
) -> None:
    metrics.looks.labels(pipeline, source, "timeout" if error.code == "source-slow" else "failed").inc()
    metrics.look_failures.labels(kind, error.code).inc()
    metrics.source_up.labels(pipeline, source).set(0)
    if worth_a_line(count):
        times = f", {count} times since {since:%H:%M}" if since and count > 1 else ""
        _log(
            "warning",
            "look_failed",
            pipeline=pipeline,
            source=source,
            code=error.code,
            count=count,
            since=since,
            message=f"{source}: {error}{times}. {error.hint}",
        )


def hints_failed(pipeline: str, source: str, error: Exception, *, count: int) -> None:
    """The source is looked at by its interval until hints come again."""
    if worth_a_line(count):
        message = f"{source}: hints broke off ({type(error).__name__}), looking by the interval"
        _log("warning", "hints_failed", pipeline=pipeline, source=source, count=count, message=message)


def look_recovered(pipeline: str, source: str, *, failures: int, since: datetime | None) -> None:
    message = f"{source}: works again after {failures} failed looks" + (f" since {since:%H:%M}" if since else "")
    _log("info", "look_recovered", pipeline=pipeline, source=source, count=failures, since=since, message=message)


# pending, gate, batches


def pending_measured(pipeline: str, *, changes: int, bytes: int, oldest: datetime | None) -> None:  # noqa: A002
    metrics.pending_changes.labels(pipeline).set(changes)
    metrics.pending_bytes.labels(pipeline).set(bytes)
    if oldest is not None:
        metrics.pending_oldest.labels(pipeline).set(oldest.timestamp())
    elif (pipeline,) in metrics.pending_oldest._metrics:  # no series where there is nothing to date
        metrics.pending_oldest.remove(pipeline)


def changes_waiting(pipeline: str, changes: int, limit: int | None, sentence: str) -> None:
    _log("info", "changes_waiting", pipeline=pipeline, changes=changes, limit=limit, message=sentence)


def gate_moved(pipeline: str, *, code: str | None, sentence: str, waiting: int) -> None:
    """The gate closed because of `code`, or with None opened again."""
    for known in metrics.GATE_CODES:
        metrics.gate_closed.labels(pipeline, known).set(1 if known == code else 0)
    if code is None:
        message = f"The gate is open again; {number(waiting)} changes wait."
        _log("info", "gate_opened", pipeline=pipeline, changes=waiting, message=message)
    else:
        _log("warning", "gate_closed", pipeline=pipeline, code=code, changes=waiting, message=sentence)


def batch_fired(pipeline: str, batch: str, *, kind: str, reason: str, changes: int, dag_run_id: str) -> None:
    metrics.batches_fired.labels(pipeline, kind).inc()
    _log(
        "info",
        "batch_fired",
        pipeline=pipeline,
        batch=batch,
        dag_run_id=dag_run_id,
        changes=changes,
        reason=reason,
        message=f"{batch} fired: {number(changes)} changes (because {reason})",
    )


def attempt_answered(answer: str) -> None:
    """Airflow's answer to one attempt to deliver or verify a batch, or that there was none."""
    metrics.dispatch_attempts.labels(answer).inc()


def batch_confirmed(pipeline: str, batch: str, *, dag_run_id: str, answer: str, attempt: int, seconds: float) -> None:
    metrics.dispatch_delay.observe(max(0.0, seconds))
    metrics.batch_transitions.labels(pipeline, "confirmed").inc()
    there = " was already there: sent before, the answer got lost" if answer == "already-there" else ""
    message = f"{batch} confirmed{there}: run {dag_run_id}, {seconds:.1f} s after it fired"
    keys = {"dag_run_id": dag_run_id, "attempt": attempt, "seconds": round(seconds, 3)}
    _log("info", "batch_confirmed", pipeline=pipeline, batch=batch, message=message, **keys)


def batch_postponed(pipeline: str, batch: str, *, code: str, detail: str, attempt: int, next_at: datetime) -> None:
    """Not delivered this time: held, not sent, or sent without an answer (then it is verified first)."""
    event = "batch_unknown" if code == "airflow-no-answer" else "batch_held"
    keys: Mapping[str, Any] = {"code": code, "attempt": attempt, "next_at": next_at}
    _log("warning", event, pipeline=pipeline, batch=batch, message=f"{batch} waits: {detail}", **keys)


def batch_parked(pipeline: str, batch: str, *, code: str, detail: str) -> None:
    metrics.batch_transitions.labels(pipeline, "parked").inc()
    _log("error", "batch_parked", pipeline=pipeline, batch=batch, code=code, message=f"{batch} needs you: {detail}")


def run_ended(pipeline: str, batch: str, *, state: str, dag_run_id: str, seconds: float | None) -> None:
    """run_succeeded, run_failed or run_vanished."""
    metrics.batch_transitions.labels(pipeline, state).inc()
    took = f" in {seconds:.0f} s" if seconds is not None else ""
    level = "info" if state == "succeeded" else "error"
    keys = {"dag_run_id": dag_run_id, "seconds": seconds}
    _log(level, f"run_{state}", pipeline=pipeline, batch=batch, message=f"{batch} {state}{took}", **keys)


# Airflow and the store


def airflow_requested(operation: str, code: str, seconds: float) -> None:
    metrics.airflow_requests.labels(operation, code).inc()
    metrics.airflow_duration.labels(operation).observe(seconds)


def airflow_lost(code: str, message: str) -> None:
    metrics.airflow_up.set(0)
    _log("warning", "airflow_lost", code=code, message=message)


def airflow_answered() -> None:
    metrics.airflow_up.set(1)


def airflow_back(seconds: float) -> None:
    _log("info", "airflow_back", seconds=round(seconds, 1), message=f"Airflow answers again after {seconds:.0f} s.")


def service_troubled(service: str, error: WatcherError, count: int) -> None:
    """A step that the store or Airflow refused; it is repeated."""
    if error.code.startswith("store"):
        metrics.store_errors.labels(error.code).inc()
    if worth_a_line(count):
        _log("error", "step_refused", service=service, code=error.code, count=count, message=f"{error}. {error.hint}")


def service_recovered(service: str, count: int) -> None:
    _log(
        "info",
        "step_recovered",
        service=service,
        count=count,
        message=f"{service} goes on after {count} refused steps.",
    )


def sums_checked(unaccounted: int) -> None:
    metrics.unaccounted.set(unaccounted)
    if unaccounted:
        message = f"The sums differ by {unaccounted} changes: a bug of ours."
        _log("error", "sums_differ", code="internal", changes=unaccounted, message=message)
