"""Batches as Hypothesis draws them, for all tests of the contract across the border."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from watcher.detection import FileChange, Json, Operation, Range
from watcher.pipeline.run import BatchFacts, SourceFacts, make_run_id

FIRED = datetime(2026, 11, 22, 14, 10, 6, tzinfo=UTC)
UID = "0123456789abcdef0123456789abcdef"

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine makes no property red."""

counts = st.integers(0, 2**53)
ids = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,40}", fullmatch=True)
scalars = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20)
jsons: st.SearchStrategy[Json] = st.recursive(
    scalars | texts, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
operations: st.SearchStrategy[Operation] = st.sampled_from(("insert", "update", "delete", "truncate", "unknown"))
paths = st.binary(min_size=1, max_size=30).map(lambda name: "/data/" + "".join(f"%{byte:02X}" for byte in name))
times = st.none() | st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
reasons = (
    st.builds("changes {} >= {}".format, counts, counts)
    | st.builds("{} changes {} >= {} and {} bytes 1.0 GB >= 1.0 GB".format, ids, counts, counts, ids)
    | st.sampled_from(
        ("max_wait 10m", "settle 20s", "files 24 >= 24", "bytes 52.4 MB >= 50.0 MB within 10m", "manual", "")
    )
    | st.text(max_size=300)
)


@st.composite
def sources(draw: st.DrawFn, source_id: str) -> SourceFacts:
    return SourceFacts(
        source_id=source_id,
        changes=draw(counts),
        bytes=draw(counts),
        operations=draw(st.dictionaries(operations, st.integers(1, 2**53), max_size=3)),
        cursor_from=draw(jsons),
        cursor_to=draw(jsons),
        range=draw(st.none() | st.builds(Range, texts, scalars | texts, scalars | texts)),
        files=draw(st.lists(st.builds(FileChange, paths, operations, counts), max_size=4).map(tuple)),
    )


@st.composite
def batches(draw: st.DrawFn, *, most: int = 5) -> BatchFacts:
    number = draw(st.integers(1, 10**12))
    names = draw(st.lists(ids, max_size=most, unique=True))
    return BatchFacts(
        number=number,
        uid=UID,
        pipeline=draw(ids),
        dag_id="orders",
        dag_run_id=make_run_id(FIRED, number),
        reason=draw(reasons),
        fired_at=FIRED,
        first_change_at=draw(times),
        last_change_at=draw(times),
        sources=tuple(draw(sources(name)) for name in names),
    )


def batch(*several: SourceFacts, reason: str = "changes 1042 >= 1000", number: int = 17) -> BatchFacts:
    """The batch of the design pages, with these sources."""
    return BatchFacts(
        number, UID, "orders", "orders", make_run_id(FIRED, number), reason, FIRED, FIRED, FIRED, tuple(several)
    )


ORDERS = SourceFacts(
    "orders_db",
    1042,
    88210,
    {"insert": 900, "update": 142, "delete": 0},
    {"lsn": 1},
    {"lsn": 2},
    Range("updated_at", "2026-11-22 14:00", "2026-11-22 14:10"),
)


def landing(count: int, gone: int = 0, name: str = "landing") -> SourceFacts:
    """A folder with `count` new files and `gone` deleted ones, their names long enough to fill a conf."""
    new = tuple(
        FileChange(f"/data/landing/partner/2026-11-22/part-{number:06d}.csv", "insert", 10) for number in range(count)
    )
    old = tuple(
        FileChange(f"/data/landing/partner/2026-11-21/part-{number:06d}.csv", "delete", 0) for number in range(gone)
    )
    return SourceFacts(name, count + gone, 10 * count, {"insert": count, "delete": gone}, files=new + old)
