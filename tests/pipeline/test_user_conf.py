"""Which user conf may be sent: one sentence for each place that may not."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pipeline.drawn import patient
from watcher.pipeline.run import check_user_conf
from watcher.pipeline.user_conf import USER_CONF_LIMIT, plain


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("conf", "problem"),
    [
        ([1], "conf must be a mapping"),
        ({"watcher": {}}, 'conf: the key "watcher" is reserved for the batch'),
        (
            {"a": [1, 2**53 + 1]},
            "conf.a[1]: 9007199254740993 is beyond ±2^53, where JSON loses digits; write it as text",
        ),
        ({"a": 10**5000}, "conf.a: an integer is beyond ±2^53, where JSON loses digits; write it as text"),
        ({"a": {"b": float("nan")}}, "conf.a.b: nan is not JSON"),
        ({"a": float("inf")}, "conf.a: inf is not JSON"),
        ({"a": "x\0"}, "conf.a: text with a NUL character"),
        ({"a": "\ud800"}, "conf.a: text with half a surrogate pair"),
        ({"a": {3: 1}}, "conf.a: the key 3 is not text; put it in quotes"),
        ({"a": date(2026, 11, 22)}, "conf.a: a date is not JSON; write it as text, in quotes"),
        ({"x": "y" * USER_CONF_LIMIT}, "conf is larger than 32 KiB of JSON"),
    ],
)
def test_says_what_is_wrong_and_where(conf: object, problem: str) -> None:
    """The place as a path, the rule in words."""
    assert check_user_conf(conf) == [problem]


def test_names_every_fault_at_once() -> None:
    """Nobody has to check a file twice for two faults in one block."""
    assert len(check_user_conf({"a": float("nan"), "b": [2**60, "\0"], "watcher": 1})) == 4


def test_nesting_is_bounded_before_it_can_hurt() -> None:
    """32 levels pass, the next is named, and ten thousand neither crash nor hang."""
    assert check_user_conf(nested(32)) == []
    assert check_user_conf(nested(33)) == ["conf" + ".a" * 32 + ": nested deeper than 32 levels"]
    assert len(check_user_conf(nested(10_000))) == 1


def test_the_usual_passes() -> None:
    """Text, numbers, lists and mappings as one writes them."""
    assert (
        check_user_conf(
            {"load_type": "daily", "days": [1, 2.5, None, True], "deep": {"a": {"b": ("x",)}}, "big": 2**53}
        )
        == []
    )


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()))
    | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3),
)


@patient
@given(st.dictionaries(st.text(max_size=5), anything, max_size=4))
def test_what_passes_goes_through_json_unchanged(conf: dict[str, Any]) -> None:
    """The check is complete: no accepted value is lost, rounded or refused by a strict reader."""
    if check_user_conf(conf):
        return
    text = json.dumps(plain(conf), allow_nan=False)
    assert json.loads(text.encode("utf-8")) == conf
