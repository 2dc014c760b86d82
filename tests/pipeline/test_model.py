"""The models as programs use them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from watcher.pipeline.model import (
    CustomSource,
    DatabaseSource,
    FilesystemSource,
    FilesystemWatch,
    Pipeline,
    TablePolling,
    TableTimestamp,
    Trigger,
)
from watcher.pipeline.tasks import Retries, Validation

TABLE = DatabaseSource(source_id="t", connection="c", table="t", watch=TableTimestamp(column="u"))
FOLDER = FilesystemSource(source_id="f", path="/f", watch=FilesystemWatch())


def test_an_existing_dag_gives_its_name() -> None:
    """Runs go to `dag_id` where one is given, else to the DAG made from the file."""
    assert Pipeline(name="p", sources=(TABLE,)).run_dag_id == "p"
    existing = Pipeline(name="p", dag_id="old", sources=(TABLE,))
    assert (existing.run_dag_id, existing.generated) == ("old", False)


def test_the_payload_follows_the_watched_sources() -> None:
    """Files are listed where files are watched, unless the trigger says otherwise."""
    assert Pipeline(name="p", sources=(TABLE,)).payload == "summary"
    assert Pipeline(name="p", sources=(TABLE, FOLDER)).payload == "files"
    assert Pipeline(name="p", sources=(FOLDER,), trigger=Trigger(files=1, payload="summary")).payload == "summary"
    unwatched = FOLDER.model_copy(update={"watch": None})
    assert Pipeline(name="p", sources=(unwatched,)).payload == "summary"


def test_watched_leaves_out_disabled_sources() -> None:
    """Only what is enabled and has a watch is looked at."""
    off = TABLE.model_copy(update={"enabled": False})
    assert Pipeline(name="p", sources=(off, FOLDER)).watched == (FOLDER,)


def test_models_are_frozen_and_strict() -> None:
    """Nothing is changed after loading, and nothing is converted on the way in."""
    with pytest.raises(ValidationError):
        TABLE.table = "x"
    with pytest.raises(ValidationError):
        Trigger.model_validate({"changes": "5"})
    with pytest.raises(ValidationError):
        Trigger.model_validate({"changes": True})


def test_a_done_marker_makes_settle_nothing() -> None:
    """The marker says that all is there; a written settle still counts."""
    assert FilesystemWatch().settle == timedelta(seconds=2)
    assert FilesystemWatch(done_marker="_SUCCESS").settle == timedelta(0)
    assert FilesystemWatch(done_marker="_SUCCESS", settle=timedelta(seconds=9)).settle == timedelta(seconds=9)


def test_all_tables_joins_both_spellings() -> None:
    """`table`, `tables`, or none where a query is given."""
    assert DatabaseSource(source_id="a", table="x").all_tables == ("x",)
    assert DatabaseSource(source_id="a", tables=("x", "y")).all_tables == ("x", "y")
    assert DatabaseSource(source_id="a", query="select 1", watch=TablePolling()).all_tables == ()


@pytest.mark.parametrize("detector", ["a:b", "acme_detectors.registry:ModelRegistry", "a.b:C.d"])
def test_detectors_are_named_by_module_and_object(detector: str) -> None:
    """The usual spelling is taken."""
    assert CustomSource(source_id="c", detector=detector).detector == detector


@pytest.mark.parametrize("detector", ["a", "a:", ":b", "a b:c", "a:b()", "../a:b", "a/b:c"])
def test_what_is_no_python_name_is_refused(detector: str) -> None:
    """No path, no call, no expression."""
    with pytest.raises(ValidationError):
        CustomSource(source_id="c", detector=detector)


@pytest.mark.parametrize("name", ["a", "A-b.c_9", "_x", "9"])
def test_ids_that_airflow_takes(name: str) -> None:
    """Letters, digits, _, . and -."""
    assert Pipeline(name=name, sources=(TABLE,)).name == name


@pytest.mark.parametrize("name", ["", ".a", "-a", "a b", "a/b", "ä", "a\n", "a" * 201, "${X}"])
def test_ids_that_airflow_refuses(name: str) -> None:
    """Nothing that would be no DAG id or task id."""
    with pytest.raises(ValidationError):
        Pipeline(name=name, sources=(TABLE,))


def test_retries_may_be_a_number() -> None:
    """A number is the attempts; every kind has a careful default."""
    retries = Retries.model_validate({"ingest": 5, "validate": {"attempts": 0}})
    assert (retries.ingest.attempts, retries.validate_.attempts, retries.transform.attempts) == (5, 0, 2)
    assert retries.ingest.backoff == "exponential"


def test_a_validation_is_about_its_model_table_or_name() -> None:
    """The first of the three that is given names its task."""
    assert Validation(rule="row_count", model="m", name="n").subject == "m"
    assert Validation(rule="row_count", table="s.t", name="n").subject == "s.t"
    assert Validation(rule="sql", sql="select 1", name="n").subject == "n"
    with pytest.raises(ValidationError, match="needs a model"):
        Validation(rule="row_count")


def test_the_fingerprint_survives_a_round_trip() -> None:
    """Equal pipelines have equal fingerprints; another limit gives another one."""
    one = Pipeline(name="p", sources=(TABLE,), trigger=Trigger(changes=5))
    assert one.fingerprint == Pipeline(name="p", sources=(TABLE,), trigger=Trigger(changes=5)).fingerprint
    assert one.fingerprint != Pipeline(name="p", sources=(TABLE,), trigger=Trigger(changes=6)).fingerprint
