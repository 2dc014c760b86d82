"""Names of tables and columns as people write them."""

from __future__ import annotations

import pytest

from watcher.errors import ConfigError
from watcher.pipeline.sql_names import Part, column_of, parts_of


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("orders", [Part("orders")]),
        ("shop.Orders", [Part("shop"), Part("Orders")]),
        ("DB1.PUBLIC.ORDERS", [Part("DB1"), Part("PUBLIC"), Part("ORDERS")]),
        ('shop."Or.ders"', [Part("shop"), Part("Or.ders", exact=True)]),
        ('"a""b"', [Part('a"b', exact=True)]),
        ("or ders", [Part("or ders")]),
        ("orders; drop table x", [Part("orders; drop table x")]),
    ],
)
def test_tables(name: str, parts: list[Part]) -> None:
    """Dots part a name, except within double quotes; anything else in it is part of the name, to be quoted later."""
    assert list(parts_of(name)) == parts


@pytest.mark.parametrize("name", ["", " ", ".", "a.", ".a", "a..b", "a.b.c.d", 'a"b', '"a', '"a"b', "a .b", "a\0b"])
def test_no_tables(name: str) -> None:
    """What cannot be taken apart in one way only is refused."""
    with pytest.raises(ConfigError, match="is not the name of a table") as caught:
        parts_of(name)
    assert caught.value.code == "bad-value"


def test_columns() -> None:
    """A column is one part, whatever it holds; in double quotes its case counts."""
    assert column_of("line.no") == Part("line.no")
    assert column_of('"Line ""no"""') == Part('Line "no"', exact=True)
    assert column_of('a"; drop') == Part('a"; drop')
    for name in ("", "  ", "a\0"):
        with pytest.raises(ConfigError, match="is not the name of a column"):
            column_of(name)
