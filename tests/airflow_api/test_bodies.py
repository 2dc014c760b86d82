"""Bodies of a known Airflow, of a newer one, and of none at all."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.airflow_api import fake_rules
from tests.airflow_api.fake_rules import FakeDag
from watcher.airflow_api.bodies import read_dag, read_health, read_import_errors, read_run, read_runs, trigger_body


def run(**more: object) -> dict[str, object]:
    body = {"logical_date": None, "conf": {"watcher": {"uid": "u"}}}
    return fake_rules.run_body("orders", "watcher__1", body, "watcher", ui=False) | more


def test_trigger_body_has_four_keys() -> None:
    """Nothing but id, null date, conf and note is sent, and a null inside conf stays."""
    conf = {"watcher": {"range": {"from": None}}}
    assert trigger_body("r", conf, "n") == {"dag_run_id": "r", "logical_date": None, "conf": conf, "note": "n"}


def test_known_run_is_read() -> None:
    """A run of today's Airflow is read with its times and our uid."""
    facts = read_run(run(state="success", start_date="2026-11-22T14:00:00Z", end_date="2026-11-22T15:00:00+01:00"))
    assert facts is not None
    assert (facts.dag_id, facts.dag_run_id, facts.state, facts.uid) == ("orders", "watcher__1", "success", "u")
    assert facts.start_date == facts.end_date == datetime(2026, 11, 22, 14, tzinfo=UTC)


def test_newer_run_is_read_too() -> None:
    """A state, a type or a shape that the official models refuse does not hide the run."""
    facts = read_run(
        run(state="draining", run_type="new", dag_versions=None, start_date="2026-11-22T14:00:00", end_date="x")
    )
    assert facts is not None
    assert (facts.state, facts.uid, facts.end_date) == ("draining", "u", None)
    assert facts.start_date == datetime(2026, 11, 22, 14, tzinfo=UTC)


def test_one_newer_run_does_not_spoil_a_list() -> None:
    """Readable runs of a list are kept beside unreadable ones."""
    page = read_runs({"dag_runs": [run(), run(state="draining"), {"x": 1}, None], "total_entries": 7})
    assert page is not None
    assert ([one.state for one in page[0]], page[1]) == (["queued", "draining"], 7)
    assert read_runs({"runs": []}) is None


def test_newer_dag_is_read_too() -> None:
    """What stands in a trigger's way is read with and without the official model's blessing."""
    body = FakeDag("orders", paused=True, allowed_run_types=["scheduled", "new"]).body()
    facts = read_dag(body)
    assert facts is not None
    assert (facts.paused, facts.stale, facts.broken, facts.manual) == (True, False, False, False)
    assert (facts.file, facts.bundle) == ("orders.py", "dags-folder")
    short = read_dag({"dag_id": "orders", "is_stale": True})
    assert short is not None
    assert (short.paused, short.stale, short.manual, short.file) == (False, True, True, None)


def test_health_names_its_parts() -> None:
    """Health is the body's word, and a body without a metadata database is not Airflow's."""
    facts = read_health({"metadatabase": {"status": "healthy"}, "scheduler": {"status": None}})
    assert facts is not None
    assert (facts.metadatabase, facts.scheduler) == ("healthy", None)
    assert read_health({"status": "ok"}) is None


_bodies = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["dag_id", "dag_run_id", "state", "conf", "watcher", "uid", "dag_runs", "total_entries"])
            | st.sampled_from(
                ["import_errors", "filename", "stack_trace", "metadatabase", "status", "allowed_run_types"]
            ),
            inner,
        )
    ),
    max_leaves=10,
)


@settings(deadline=None)
@given(_bodies)
def test_no_body_can_break_a_reader(body: object) -> None:
    """Any JSON is read or refused, never raised at."""
    for reader in (read_run, read_runs, read_dag, read_health, read_import_errors):
        answer = reader(body)  # type: ignore[arg-type]
        assert answer is None or answer is not body
