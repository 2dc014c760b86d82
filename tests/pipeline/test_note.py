"""The note: short enough for Airflow, true, and nothing in it becomes markup by accident."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.pipeline.drawn import FIRED, ORDERS, UID, batch, batches, landing, patient
from watcher.pipeline.note import inline
from watcher.pipeline.run import BatchFacts, SourceFacts, build_note

URL = "https://watcher.example/batches/b000017"
urls = st.none() | st.from_regex(r"https://[a-z.]{1,40}/[a-zA-Z0-9/ ()%_\[\]-]{0,400}", fullmatch=True)


def first_line(facts: BatchFacts) -> str:
    return build_note(facts, URL).split("\n", 1)[0]


def table(source_id: str, changes: int, **more: int) -> SourceFacts:
    return SourceFacts(source_id, changes, more.get("bytes", 0), {"insert": changes})


@patient
@given(batches(most=7), urls)
@example(batch(*(table(f"a_rather_long_name_of_a_source_{number}", 10**15) for number in range(30))), URL)
@example(batch(table("x" * 200, 1), table("y" * 200, 1), reason="max_wait 10m"), URL)
@example(batch(table("|" * 200, 1), reason="\n" * 900), None)
def test_a_note_always_fits(facts: BatchFacts, url: str | None) -> None:
    """At most 1,000 characters, the first line at most 80, the batch's name and its link always there."""
    note = build_note(facts, url)
    assert len(note) <= 1000
    head, *rest = note.split("\n\n")
    assert 0 < len(head) <= 80
    assert "\n" not in head
    assert f"b{facts.number:06d}" in rest[-1]
    assert (rest[-1].startswith("[") and rest[-1].endswith(")")) == (url is not None)


@patient
@given(batches(most=7), urls)
@example(batch(*(table(f"source_{number}", number) for number in range(500))), URL)
def test_every_source_is_in_the_table_or_counted_after_it(facts: BatchFacts, url: str | None) -> None:
    """What does not fit is said to be left out, with the number."""
    blocks = build_note(facts, url).split("\n\n")
    rows = [line for block in blocks for line in block.split("\n") if line.startswith("| ")][1:]
    left = [int(block.removeprefix("and ").split(" ")[0]) for block in blocks[1:-1] if not block.startswith("|")]
    assert len(rows) + sum(left) == len(facts.sources)


@patient
@given(batches(most=3))
def test_the_first_line_counts_what_the_batch_holds(facts: BatchFacts) -> None:
    """Whatever the reason's own numbers are, those of the batch are shown."""
    changes = sum(source.changes for source in facts.sources)
    assert first_line(replace(facts, reason="max_wait 10m")).startswith(f"{changes:,} change")


TWO = (table("crm_db", 5200, bytes=10), table("web_events", 3, bytes=1_100_000_000))
BOTH = "crm_db changes 5000 >= 5000 and web_events bytes 1.0 GB >= 1.0 GB"
LONG = (replace(TWO[0], source_id="customer_relations_db"), replace(TWO[1], source_id="web_events_of_all_shops"))


@pytest.mark.parametrize(
    ("reason", "sources", "line"),
    [
        ("changes 1042 >= 1000", [ORDERS], "1,042 changes in orders_db (limit 1,000)"),
        ("changes 1042 >= 1000 within 10m", [ORDERS], "1,042 changes in orders_db (limit 1,000 within 10m)"),
        ("max_wait 10m", [table("orders_db", 612)], "612 changes in orders_db (waited 10m)"),
        (
            "max_wait 10m, the clock was set back",
            [table("orders_db", 1)],
            "1 change in orders_db (the clock was set back)",
        ),
        ("settle 20s", [table("orders_db", 3)], "3 changes in orders_db (quiet for 20s)"),
        ("bytes 52.4 MB >= 50.0 MB", [table("lake", 7, bytes=52_400_000)], "52.4 MB in lake (limit 50.0 MB)"),
        ("files 24 >= 24", [landing(24)], "24 files in landing (limit 24)"),
        ("files 1 >= 1", [landing(1)], "1 file in landing (limit 1)"),
        ("manual", [table("orders_db", 5)], "5 changes in orders_db (manual)"),
        ("", [table("orders_db", 5)], "5 changes in orders_db (no reason given)"),
        ("changes 5203 >= 5000", [*TWO], "5,203 changes in crm_db and web_events (limit 5,000)"),
        ("changes 9 >= 5", [table(name, 3) for name in "abc"], "9 changes in a, b and c (limit 5)"),
        ("changes 9 >= 5", [table(name, 3) for name in "abcd"], "12 changes in 4 sources (limit 5)"),
        ("changes 5 >= 5", [table("a", 5), table("b", 0)], "5 changes in a (limit 5)"),
        (BOTH, [*TWO], "5,200 changes in crm_db (limit 5,000) and 1.1 GB in web_events (limit 1.0 GB)"),
        (
            BOTH.replace("crm_db", LONG[0].source_id).replace("web_events", LONG[1].source_id),
            [*LONG],
            "5,203 changes in customer_relations_db and web_events_of_all_shops (limits met)",
        ),
        ("scoring changes 1 >= 1", [table("scoring", 1), *TWO], "1 change in scoring (limit 1)"),
        ("changes 1 >= 1", [table("x" * 200, 1)], f"1 change in {'x' * 47}… (limit 1)"),
        ("changes 2 >= 1", [table("x" * 50, 1), table("y" * 50, 1)], "2 changes in 2 sources (limit 1)"),
        (f"{BOTH} and 3 more", [*TWO], "5,203 changes in crm_db and web_events (limits met)"),
        ("changes 1 >= 1", [], "0 changes (limit 1)"),
    ],
)
def test_the_first_line_reads(reason: str, sources: Iterable[SourceFacts], line: str) -> None:
    """The words people see in the list of runs: amount, place, why."""
    assert first_line(batch(*sources, reason=reason)) == line


def test_a_note_as_a_whole() -> None:
    """First line, a table of the sources with the largest first, one link."""
    assert build_note(batch(table("web", 3), ORDERS), URL) == (
        "1,045 changes in web and orders_db (limit 1,000)\n\n"
        "| source | changes | size | of these |\n"
        "|---|---:|---:|---|\n"
        "| orders_db | 1,042 | 88.2 kB | insert 900, update 142 |\n"
        "| web | 3 | 0 B | insert 3 |\n\n"
        f"[Why b000017 ran]({URL})"
    )


def test_without_a_page_to_link_to_the_batch_is_named() -> None:
    """The name is enough for `watcher explain`."""
    assert build_note(batch(ORDERS), None).endswith("\n\nBatch b000017 of orders")


def test_rows_that_do_not_fit_are_counted() -> None:
    """The largest sources are shown, the rest is one line, the link stays."""
    note = build_note(batch(*(table(f"a_source_with_a_name_{number:02d}", 1000 - number) for number in range(40))), URL)
    rows = note.count("| a_source")
    assert f"\n\nand {40 - rows} more sources\n\n[Why" in note
    assert "a_source_with_a_name_00" in note


@pytest.mark.parametrize("address", ["https://w.example/a b(c)<d>\n[e]|f", "https://w.example/é"])
def test_a_link_survives_any_address(address: str) -> None:
    """Nothing in an address ends the link early."""
    link = build_note(batch(ORDERS), address).split("\n\n")[-1]
    target = link.removeprefix("[Why b000017 ran](").removesuffix(")")
    assert not set(target) & set("()<>[]| \n")
    assert target.isascii()


def test_an_address_that_cannot_fit_costs_the_link_and_never_the_run() -> None:
    """Airflow refuses the run for one character too many."""
    note = build_note(batch(ORDERS), "https://w.example/" + "x" * 2000)
    assert note == "1,042 changes in orders_db (limit 1,000)"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("orders_db", "orders_db"),
        ("a.b-c_1", "a.b-c_1"),
        ("_a__b_", "\\_a\\_\\_b\\_"),
        ("a|b", "a\\|b"),
        ("**a** `b` [c](d) <e>", "\\*\\*a\\*\\* \\`b\\` \\[c\\](d) \\<e\\>"),
        ("two\nlines\tand\x1b more", "two lines and more"),
        ("x" * 60, "x" * 47 + "…"),
    ],
)
def test_a_name_is_text_and_no_markup(name: str, text: str) -> None:
    """What is harmless stays as it is, so that ids can be read and copied."""
    assert inline(name) == text


def test_a_row_of_any_name_has_four_cells() -> None:
    """No name can add a column or a line."""
    facts = replace(batch(SourceFacts("a|b\n| c", 1, 1, {"in|sert": 1})), uid=UID, fired_at=FIRED)
    row = build_note(facts, URL).split("\n")[4]
    assert row.replace("\\|", "").count("|") == 5
