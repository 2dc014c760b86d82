"""Every metric of the daemon, declared once; label values are configured ids or closed lists, never run ids, paths or texts."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram, Info

LOOK_BUCKETS = (0.001, 0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 20)
DELAY_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15, 60, 300, 3600)
PIPELINE, SOURCE = ("pipeline",), ("pipeline", "source")
GATE_CODES = (
    "airflow-unreachable",
    "airflow-token",
    "airflow-forbidden",
    "airflow-address",
    "airflow-limited",
    "dag-unknown",
    "dag-broken",
    "dag-paused",
    "no-room",
)

build = Info("watcher_build", "The version of the program, of Python and the kind of the store")
reload_successful = Gauge("watcher_config_last_reload_successful", "1 when the last load of the pipelines was taken")
reload_success_time = Gauge("watcher_config_last_reload_success_timestamp_seconds", "When pipelines were last taken")
pipelines = Gauge("watcher_pipelines", "Pipelines by state", ["state"])
last_step = Gauge("watcher_last_step_timestamp_seconds", "When a service last stepped", ["service"])
log_lines = Counter("watcher_log_lines_total", "Log lines written", ["level"])
log_lines_dropped = Counter("watcher_log_lines_dropped_total", "Log lines dropped because nobody read them")

looks = Counter("watcher_looks_total", "Looks by how they ended", [*SOURCE, "ended"])
look_duration = Histogram("watcher_look_duration_seconds", "Duration of a look", ["kind"], buckets=LOOK_BUCKETS)
look_failures = Counter("watcher_look_failures_total", "Failed looks by error code", ["kind", "code"])
source_up = Gauge("watcher_source_up", "1 when the last look was good", SOURCE)
last_look = Gauge("watcher_last_look_timestamp_seconds", "When the source was last looked at", SOURCE)
look_interval = Gauge("watcher_look_interval_seconds", "Seconds between two looks without a hint", SOURCE)
last_change = Gauge("watcher_last_change_timestamp_seconds", "When a look last found a change", SOURCE)
changes = Counter("watcher_changes_total", "Changes found", [*SOURCE, "operation"])
change_bytes = Counter("watcher_change_bytes_total", "Bytes of the changes found", SOURCE)
changes_ignored = Counter("watcher_changes_ignored_total", "Changes left out", [*SOURCE, "reason"])

pending_changes = Gauge("watcher_pending_changes", "Changes not yet in a batch", PIPELINE)
pending_bytes = Gauge("watcher_pending_bytes", "Bytes of the changes not yet in a batch", PIPELINE)
pending_oldest = Gauge("watcher_pending_oldest_timestamp_seconds", "When the oldest pending change was found", PIPELINE)
max_wait = Gauge("watcher_trigger_max_wait_seconds", "The trigger's max_wait", PIPELINE)
gate_closed = Gauge("watcher_gate_closed", "1 while the gate is closed for this reason", ["pipeline", "because"])
batches_fired = Counter("watcher_batches_fired_total", "Batches made, by reason", ["pipeline", "reason"])
batch_transitions = Counter("watcher_batch_transitions_total", "Batches that reached a state", ["pipeline", "to"])
unaccounted = Gauge("watcher_unaccounted_changes", "Changes recorded less those with a known fate: always 0")

dispatch_attempts = Counter("watcher_dispatch_attempts_total", "Attempts to deliver a batch, by answer", ["answer"])
dispatch_delay = Histogram("watcher_dispatch_delay_seconds", "Fired to confirmed", buckets=DELAY_BUCKETS)
airflow_up = Gauge("watcher_airflow_up", "0 while the breaker to Airflow is not closed")
airflow_requests = Counter("watcher_airflow_requests_total", "Requests to Airflow", ["operation", "code"])
airflow_duration = Histogram(
    "watcher_airflow_request_duration_seconds", "Duration of a request", ["operation"], buckets=LOOK_BUCKETS
)
store_errors = Counter("watcher_store_errors_total", "Refusals of the store, by code", ["code"])
