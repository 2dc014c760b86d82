"""What lies over what: defaults files, own defaults, environments, and where their problems are shown."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tests.pipeline.files import ORDERS, codes, only, write
from watcher.pipeline.load import load
from watcher.pipeline.model import DatabaseSource, FilesystemWatch, TableTimestamp


def test_the_nearest_defaults_file_wins(tmp_path: Path) -> None:
    """A key comes from the file itself, else its own defaults, else the nearest _defaults.yaml, else one above."""
    folder = write(
        tmp_path,
        _defaults="owner: far\ntags: [far]\ndefaults: {watch: {interval: 10s, timeout: 5s}, retries: {ingest: 9}}\n",
        shop___defaults="owner: near\ndefaults: {watch: {interval: 20s}, connection: near_db}\n",
        shop__orders=ORDERS.replace("    connection: shop_db\n", "") + "defaults: {retries: {transform: 7}}\n",
    )
    pipeline = only(load(folder, variables={}))
    assert (pipeline.owner, pipeline.tags) == ("near", ("far",))
    watch = pipeline.sources[0].watch
    assert watch is not None
    assert (watch.interval, watch.timeout) == (timedelta(seconds=20), timedelta(seconds=5))
    assert pipeline.sources[0].connection == "near_db"
    assert (pipeline.retries.ingest.attempts, pipeline.retries.transform.attempts) == (9, 7)


def test_a_pipelines_own_defaults_beat_a_far_file(tmp_path: Path) -> None:
    """`defaults.retries` of the file is stronger than plain `retries` of _defaults.yaml."""
    folder = write(tmp_path, _defaults="retries: {ingest: 9}\n", a=ORDERS + "defaults: {retries: {ingest: 4}}\n")
    assert only(load(folder, variables={})).retries.ingest.attempts == 4


def test_defaults_reach_only_the_sources_that_know_them(tmp_path: Path) -> None:
    """A default column is for tables, a default settle for folders; neither is refused at the other."""
    text = """\
name: both
sources:
  - {source_id: t, source_type: database, table: t}
  - {source_id: f, source_type: filesystem, path: /data}
trigger: {changes: 5}
defaults: {connection: shop_db, watch: {column: updated_at, settle: 9s}}
"""
    pipeline = only(load(write(tmp_path, a=text), variables={}))
    table, files = pipeline.sources
    assert isinstance(table.watch, TableTimestamp)
    assert isinstance(files.watch, FilesystemWatch)
    assert (table.connection, files.connection) == ("shop_db", None)
    assert (table.watch.column, files.watch.settle) == ("updated_at", timedelta(seconds=9))


def test_a_problem_of_a_defaults_file_names_that_file_once(tmp_path: Path) -> None:
    """The problem stands at its own line, once, and refuses every pipeline that the file lies under."""
    folder = write(tmp_path, _defaults="tags: [a]\nownr: me\n", a=ORDERS, b=ORDERS.replace("name: orders", "name: b"))
    loaded = load(folder, variables={})
    assert [(each.path.name, each.line, each.code) for each in loaded.problems] == [
        ("_defaults.yaml", 2, "unknown-key")
    ]
    assert loaded.pipelines == ()
    assert loaded.summary() == "1 error in 2 of 2 files. None of them would run."


def test_a_defaults_file_cannot_hold_sources(tmp_path: Path) -> None:
    """What makes a pipeline a pipeline cannot come from _defaults.yaml."""
    loaded = load(write(tmp_path, _defaults="name: x\n", a=ORDERS), variables={})
    assert [(each.path.name, each.code) for each in loaded.problems] == [("_defaults.yaml", "unknown-key")]


def test_a_broken_defaults_file_refuses_rather_than_drops_itself(tmp_path: Path) -> None:
    """No pipeline runs with other settings than its author wrote."""
    loaded = load(write(tmp_path, _defaults="tags: [a\n", a=ORDERS), variables={})
    assert codes(loaded) == ["bad-yaml"]
    assert loaded.pipelines == ()


def test_an_unknown_environment_lists_the_known_ones(tmp_path: Path) -> None:
    """A typo in the environment's name is one problem of the folder."""
    text = ORDERS + "environments: {production: {trigger: {changes: 5}}}\n"
    loaded = load(write(tmp_path, a=text), environment="producton", variables={})
    assert codes(loaded) == ["unknown-environment"]
    assert "they have: production" in loaded.problems[0].message
    assert 'did you mean "production"' in loaded.problems[0].render()


def test_an_environment_that_no_file_needs_is_no_problem(tmp_path: Path) -> None:
    """Files without any environment are the same in all of them."""
    assert only(load(write(tmp_path, a=ORDERS), environment="prod", variables={})).name == "orders"


def test_an_environment_can_switch_off(tmp_path: Path) -> None:
    """null takes a key out again, false stops the watching of a source."""
    text = ORDERS + ("environments:\n  dev:\n    trigger: {max_wait: null}\n    sources: {orders_db: {watch: false}}\n")
    pipeline = only(load(write(tmp_path, a=text), environment="dev", variables={}))
    assert pipeline.trigger is not None
    assert pipeline.trigger.max_wait is None
    assert pipeline.watched == ()


def test_variables_of_other_environments_need_not_be_set(tmp_path: Path) -> None:
    """An undefined variable matters only where it is used; the block's keys are judged all the same."""
    text = ORDERS + (
        'environments:\n  prod:\n    trigger: {changes: "${PROD_LIMIT}"}\n    sources: {orders_db: {watch: {colum: x}}}\n'
    )
    folder = write(tmp_path, a=text)
    assert [(each.code, each.line) for each in load(folder, variables={}).errors] == [("unknown-key", 12)]
    assert codes(load(folder, environment="prod", variables={})) == ["undefined-variable", "unknown-key"]


def test_a_variable_that_an_environment_replaces_need_not_be_set(tmp_path: Path) -> None:
    """Layers are merged before they are expanded."""
    text = ORDERS.replace("public.orders", "${TABLE}") + "environments: {dev: {sources: {orders_db: {table: t}}}}\n"
    folder = write(tmp_path, a=text)
    assert codes(load(folder, variables={})) == ["undefined-variable"]
    source = only(load(folder, environment="dev", variables={})).sources[0]
    assert isinstance(source, DatabaseSource)
    assert source.all_tables == ("t",)
