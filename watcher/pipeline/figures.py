"""Numbers for a glance, the same in every text for people: sizes, and how long something has lasted."""

from __future__ import annotations

from datetime import timedelta

_SIZES = ("kB", "MB", "GB", "TB", "PB")
_SECONDS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}


def size(count: int) -> str:
    """Bytes in decimal units with one digit. A larger count never reads as a smaller one.

    >>> size(512), size(52_400_000), size(999_960)
    ('512 B', '52.4 MB', '1.0 MB')
    """
    if count < 1000:
        return f"{count} B"
    value = count / 1000
    for unit in _SIZES[:-1]:
        if round(value, 1) < 1000:
            return f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} {_SIZES[-1]}"


def elapsed(length: timedelta) -> str:
    """The two largest units, cut and never rounded up; below zero is 0s.

    >>> elapsed(timedelta(seconds=350.9)), elapsed(timedelta(days=1, hours=2, seconds=5))
    ('5m 50s', '1d 2h')
    """
    rest, parts = max(length, timedelta()) // timedelta(seconds=1), list[str]()
    for unit, seconds in _SECONDS.items():
        value, rest = divmod(rest, seconds)
        if value or parts:
            parts.append(f"{value}{unit}" if value else "")
    return " ".join(filter(None, parts[:2])) or "0s"
