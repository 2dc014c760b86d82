"""Values come back as they went in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from tests.store.making import NOW, found, load, recorded
from watcher.detection import FileChange, InventoryChange, Known
from watcher.errors import WatcherError
from watcher.store import Store, looks
from watcher.store.columns import Exact, Moment
from watcher.store.schema import detection_file

STRANGE = ["", "\\", "\\u0041", "a\x00b", "\udcff", "\\\udc80\x00\\", "ü€𝄞", "x" * 9000]


@given(st.text(st.characters()))
def test_any_text_survives(text: str) -> None:
    """Escaping is undone exactly, and what is stored is plain UTF-8 without NUL."""
    column = Exact()
    stored = column.process_bind_param(text, sqlite.dialect())
    assert stored is not None
    assert "\x00" not in stored
    stored.encode()
    assert column.process_result_value(stored, sqlite.dialect()) == text


async def test_strange_keys_and_paths_survive_the_database(store: Store) -> None:
    """Any byte of a name and any length: inventory and files give back what they got."""
    put = {key: Known(key, rank) for rank, key in enumerate(STRANGE)}
    files = tuple(FileChange(path, "insert", 1) for path in STRANGE)
    await recorded(store, found(8, files=files, inventory=InventoryChange(put=put)))
    assert await looks.StoredInventory(store, "orders", "db").read() == put
    async with store.read() as connection:
        paths = list(await connection.scalars(select(detection_file.c.path).order_by(detection_file.c.position)))
    assert paths == STRANGE


async def test_a_foreign_message_with_strange_characters_is_stored(store: Store) -> None:
    """What a broken server says can be shown: characters that databases refuse are made visible."""
    state = await looks.mark_failed(store, await load(store), "source-answer", "a\x00b \udcff \\", NOW)
    assert state.message == "a\\u0000b \\udcff \\"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-9, minutes=-30))])))
def test_a_moment_survives(moment: datetime) -> None:
    """The same instant, in UTC, with its microseconds."""
    try:
        expected = moment.astimezone(UTC)
    except OverflowError:
        return
    for dialect in (sqlite.dialect(), postgresql.dialect()):
        back = Moment().process_result_value(Moment().process_bind_param(moment, dialect), dialect)
        assert back == expected
        assert back.tzinfo is UTC


async def test_a_moment_without_a_zone_is_a_bug(store: Store) -> None:
    """Nobody can say when it was, so it is refused before anything is stored."""
    with pytest.raises(WatcherError) as refused:
        await looks.load(store, "orders", "db", "table", NOW.replace(tzinfo=None))
    assert refused.value.code == "internal"
