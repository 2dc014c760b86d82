"""Names of tables and columns as people write them: `orders`, `shop.orders`, `shop."Orders"`; pure, knows no dialect."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from watcher.errors import ConfigError

_PART: Final = r'"(?:[^"]|"")+"|[^".\s](?:[^".]*[^".\s])?'
_NAME: Final = re.compile(rf"(?:{_PART})(?:\.(?:{_PART})){{0,2}}")


@dataclass(frozen=True, slots=True)
class Part:
    """One word of a name. `exact` when it was written in double quotes: then its case counts in every database."""

    word: str
    exact: bool = False


def parts_of(name: str) -> tuple[Part, ...]:
    """The one to three parts of a table's name. Raises ConfigError `bad-value`.

    >>> parts_of('shop."Or.ders"')
    (Part(word='shop', exact=False), Part(word='Or.ders', exact=True))
    """
    if "\0" in name or not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} is not the name of a table: write table, schema.table or database.schema.table", code="bad-value"
        )
    return tuple(_part(written) for written in re.findall(_PART, name))


def column_of(name: str) -> Part:
    """A column's name: one part, whatever dots it has. Raises ConfigError `bad-value`.

    >>> column_of("line.no")
    Part(word='line.no', exact=False)
    """
    if "\0" in name or not name.strip():
        raise ConfigError(f"{name!r} is not the name of a column", code="bad-value")
    return _part(name) if re.fullmatch(r'"(?:[^"]|"")+"', name) else Part(name)


def _part(written: str) -> Part:
    return Part(written[1:-1].replace('""', '"'), exact=True) if written.startswith('"') else Part(written)
