"""Loading whole folders: layers, environments, names across files, and that nothing a file holds can raise."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.pipeline.files import EXAMPLES, ORDERS, codes, only, write
from watcher.errors import ConfigError
from watcher.pipeline.load import load, load_file, show
from watcher.pipeline.model import (
    ApiResource,
    CustomWatch,
    FilesystemSource,
    FilesystemWatch,
    Pipeline,
    TableLog,
    TableTimestamp,
)


def example_of(name: str, environment: str | None = None) -> Pipeline:
    """One example of the documentation."""
    path = EXAMPLES / f"{name}.yaml"
    return only(load_file(path, environment=environment, variables={}, availability=False))


def test_all_examples_load_without_a_problem() -> None:
    """The six examples of the documentation are valid as they stand."""
    loaded = load(EXAMPLES, variables={}, availability=False)
    assert loaded.problems == ()
    assert loaded.files == len(loaded.pipelines) == 6
    assert loaded.summary() == "6 files, all valid."


def test_the_smallest_example_is_watched_by_its_column() -> None:
    """A column makes the method timestamp, and the limits are read as written."""
    pipeline = example_of("orders")
    watch = pipeline.sources[0].watch
    assert isinstance(watch, TableTimestamp)
    assert (watch.column, watch.interval, watch.overlap) == ("updated_at", timedelta(seconds=30), timedelta(minutes=10))
    assert pipeline.trigger is not None
    assert (pipeline.trigger.changes, pipeline.trigger.max_wait) == (1000, timedelta(minutes=10))
    assert (pipeline.run_dag_id, pipeline.generated, pipeline.payload) == ("orders", True, "summary")


def test_an_environment_changes_what_it_lists_and_nothing_else() -> None:
    """In dev the log becomes timestamp, keys of the old method are left behind, the rest stays."""
    plain, dev = example_of("orders_cdc"), example_of("orders_cdc", "dev")
    assert isinstance(plain.sources[0].watch, TableLog)
    assert isinstance(dev.sources[0].watch, TableTimestamp)
    assert dev.sources[0].watch.interval == timedelta(seconds=5)
    assert dev.sources[0].connection == "shop_db_dev"
    assert dev.trigger is not None
    assert (dev.trigger.changes, dev.trigger.bytes, dev.trigger.cooldown) == (1, 50_000_000, timedelta(0))
    assert dev.transformations == plain.transformations


def test_a_done_marker_replaces_settle_and_files_are_the_payload() -> None:
    """The file example: the written settle stays, the variable takes its default, conf is kept."""
    pipeline = example_of("partner_files")
    source = pipeline.sources[0]
    assert isinstance(source, FilesystemSource)
    assert isinstance(source.watch, FilesystemWatch)
    assert (source.path, source.watch.method) == ("/data/landing/partner", "notify")
    assert (source.watch.settle, source.watch.done_marker) == (timedelta(seconds=30), "_SUCCESS")
    assert source.watch.operations == ("insert", "update")
    assert pipeline.payload == "files"
    assert pipeline.trigger is not None
    assert pipeline.trigger.conf == {"load_type": "daily"}


def test_a_trigger_and_a_schedule_live_together() -> None:
    """The API example runs by change and by clock; `select` makes its method hash."""
    pipeline = example_of("fx_rates")
    assert pipeline.schedule == "0 18 * * 1-5"
    assert isinstance(pipeline.sources[0].watch, ApiResource)
    assert pipeline.sources[0].watch.method == "hash"


def test_several_sources_get_a_method_each() -> None:
    """A bucket is polled, a custom source has its own kind, and branches nest."""
    pipeline = example_of("customer_360")
    assert [type(source.watch) for source in pipeline.watched] == [TableTimestamp, FilesystemWatch, CustomWatch]
    assert getattr(pipeline.sources[1].watch, "method", "") == "polling"
    assert pipeline.trigger is not None
    assert pipeline.trigger.any is not None
    assert [branch.source for branch in pipeline.trigger.any[0].all or ()] == ["crm_db", "web_events"]


def test_a_file_with_a_schedule_and_no_trigger_is_purely_time_based() -> None:
    """Nothing of it is watched, and it has no trigger."""
    pipeline = example_of("my_pipeline")
    assert (pipeline.schedule, pipeline.trigger, pipeline.watched) == ("0 2 * * *", None, ())


def test_a_file_with_neither_fires_on_one_change(tmp_path: Path) -> None:
    """Without trigger and schedule: changes 1, settle 5s, coalesce, and every source is watched."""
    text = "name: a\nsources: [{source_id: f, source_type: filesystem, path: /data}]\n"
    pipeline = only(load(write(tmp_path, a=text), variables={}))
    assert pipeline.trigger is not None
    assert (pipeline.trigger.changes, pipeline.trigger.settle) == (1, timedelta(seconds=5))
    assert pipeline.trigger.while_running == "coalesce"
    assert len(pipeline.watched) == 1


@pytest.mark.parametrize(
    ("trigger", "changes"), [("{}", 1), ("{settle: 5s}", 1), ("{max_wait: 5m}", None), ("{bytes: 1KB}", None)]
)
def test_a_trigger_without_limits_means_one_change(tmp_path: Path, trigger: str, changes: int | None) -> None:
    """Neither a limit nor max_wait: one change is enough."""
    text = ORDERS.replace("{changes: 10, max_wait: 5m}", trigger)
    pipeline = only(load(write(tmp_path, a=text), variables={}))
    assert pipeline.trigger is not None
    assert pipeline.trigger.changes == changes


def test_watch_false_and_disabled_sources_are_not_watched(tmp_path: Path) -> None:
    """`watch: false` and `enabled: false` keep the source in the file and out of the daemon."""
    text = ORDERS + "".join(
        f"  - {{source_id: {name}, source_type: filesystem, path: /{name}, {extra}}}\n"
        for name, extra in (("quiet", "watch: false"), ("off", "enabled: false"))
    )
    head, _, tail = text.partition("trigger: {changes: 10, max_wait: 5m}\n")
    pipeline = only(load(write(tmp_path, a=head + tail + "trigger: {changes: 10}\n"), variables={}))
    assert [source.source_id for source in pipeline.watched] == ["orders_db"]
    assert pipeline.sources[1].watch is None


def test_one_bad_file_never_stops_another(tmp_path: Path) -> None:
    """The good one is loaded, the bad one is told."""
    loaded = load(write(tmp_path, good=ORDERS, bad="name: [\n"), variables={})
    assert [file.path.name for file in loaded.pipelines] == ["good.yaml"]
    assert codes(loaded) == ["bad-yaml"]
    assert loaded.summary() == "1 error in 1 of 2 files. The other one is valid and would run."


def test_a_name_belongs_to_the_first_file(tmp_path: Path) -> None:
    """A second file of the same name is refused and told where the first one stands."""
    loaded = load(write(tmp_path, a=ORDERS, b=ORDERS), variables={})
    assert [file.path.name for file in loaded.pipelines] == ["a.yaml"]
    (problem,) = loaded.problems
    assert (problem.path.name, problem.line, problem.column, problem.code) == ("b.yaml", 1, 7, "duplicate-name")
    assert problem.message.endswith("a.yaml:1")


def test_a_name_from_an_environment_block_cannot_hide_a_twin(tmp_path: Path) -> None:
    """Even a refused file keeps its name, so that two files do not trade places when one is mended."""
    loaded = load(write(tmp_path, a=ORDERS + "zzz: 1\n", b=ORDERS), variables={})
    assert codes(loaded) == ["unknown-key", "duplicate-name"]
    assert loaded.pipelines == ()


def test_show_prints_everything_merged_and_no_secret(tmp_path: Path) -> None:
    """`show` gives the file as it is understood, defaults written out, secrets as stars."""
    text = """\
name: hooks
sources:
  - source_id: shop
    source_type: api
    headers: {Authorization: "Bearer ${TOKEN}", Accept: application/json}
    watch: {method: webhook, endpoint: /in, secret: "${TOKEN}"}
trigger: {changes: 5, max_wait: 5m}
"""
    folder = write(tmp_path, _defaults="owner: me\n", a=text)
    shown = show(folder / "a.yaml", variables={"TOKEN": "canary-7"})
    assert "owner: me" in shown
    assert "max_wait: 5m" in shown
    assert shown.count("'***'") == 2
    assert "canary-7" not in shown


def test_show_of_a_bad_file_raises_with_the_problems(tmp_path: Path) -> None:
    """Nothing half-understood is printed."""
    folder = write(tmp_path, a=ORDERS + "zzz: 1\n")
    with pytest.raises(ConfigError, match="unknown key") as caught:
        show(folder / "a.yaml", variables={})
    assert caught.value.code == "unknown-key"


def test_secrets_reach_the_detector_and_nothing_else(tmp_path: Path) -> None:
    """repr, dump, JSON and fingerprint of a model never hold what a variable held."""
    text = """\
name: a
sources:
  - source_id: c
    source_type: custom
    detector: acme:Registry
    options: {password: "${PW}", dsn: "postgresql://me:${PW}@db/x", plain: 5, deep: [{token: {file: /run/secrets/t}}]}
"""
    pipeline = only(load(write(tmp_path, a=text), variables={"PW": "canary-7"}, availability=False))
    shown = f"{pipeline!r} {pipeline} {pipeline.model_dump()} {pipeline.model_dump_json()} {pipeline.fingerprint}"
    assert "canary-7" not in shown
    assert getattr(pipeline.sources[0], "options")["password"].reveal() == "canary-7"  # noqa: B009 - a union


def test_the_fingerprint_is_of_the_meaning_not_of_the_spelling(tmp_path: Path) -> None:
    """Order, comments and aliases of keys do not matter; a limit does."""
    same = "# a comment\n" + ORDERS.replace("max_wait: 5m", "max_wait: 300s")
    other = ORDERS.replace("changes: 10", "changes: 11")
    prints = [
        only(load(write(tmp_path / str(n), a=text), variables={})).fingerprint
        for n, text in enumerate((ORDERS, same, other))
    ]
    assert prints[0] == prints[1] != prints[2]
    assert len(prints[0]) == 64


def test_two_hundred_files_take_about_a_second(tmp_path: Path) -> None:
    """Checking is quick enough for every save and every parse of a DAG loader."""
    for number in range(200):
        (tmp_path / f"p{number}.yaml").write_text(ORDERS.replace("name: orders", f"name: orders_{number}"))
    start = time.perf_counter()
    assert len(load(tmp_path, variables={}).pipelines) == 200
    assert time.perf_counter() - start < 5


CORPUS = [path.read_text("utf-8") for path in sorted(EXAMPLES.glob("*.yaml"))]
WORDS = ["null", "true", "-1", "1e400", "watch", "trigger", "sources", "environments", "defaults", "any", "all"]
MARKS = [
    "\n",
    "  ",
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    "&a ",
    "*a",
    "!!x ",
    "${",
    "'",
    '"',
    "\x00",
    "\ud800",
    "<<: ",
    "---\n",
]
PIECES = st.sampled_from(WORDS + MARKS)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """An example with a few pieces cut, doubled or put in."""
    text = draw(st.sampled_from(CORPUS))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        text = text[:start] + draw(st.one_of(PIECES, st.just(text[start:end] * 2), st.just(""))) + text[end:]
    return text


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.one_of(mutated(), st.text(max_size=200)))
@example(text="? [a]\n: b\n")
@example(text="a: \ud800")
@example(text="sources: [[]]\n")
@example(text="sources: {a: 1}\nenvironments: {dev: {sources: {a: {}}}}\n")
@example(
    text="name: a\nsources: [5, null, {watch: 5}, {source_type: 5}]\ntrigger: {any: 5, all: [5]}\ndependencies: {a: 5}\n"
)
def test_no_text_makes_the_loader_raise(tmp_path: Path, text: str) -> None:
    """Whatever stands in a file, the answer is pipelines or problems with a place, and all of them can be printed."""
    path = tmp_path / "a.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    for environment in (None, "dev"):
        loaded = load_file(path, environment=environment, variables={"LIMIT": "5"}, availability=False)
        assert bool(loaded.pipelines) != bool(loaded.errors)
        for problem in loaded.problems:
            f"{problem.render()}{problem.as_github()}{problem.as_json()}".encode()
