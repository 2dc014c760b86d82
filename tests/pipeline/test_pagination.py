"""Every style of pagination has its own keys, and no file can ask for what a style does not know."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from watcher.pipeline.pagination import _KEYS, _NEEDED, Pagination

VALUES: dict[str, Any] = {
    "stop_after_empty_page": True,
    **dict.fromkeys(("limit", "maximum_offset", "maximum_page"), 5),
}
NUMBERS = ("offset", "base_page", "page")


def value(key: str) -> Any:
    return VALUES.get(key, 0 if key in NUMBERS else "next")


@pytest.mark.parametrize("style", _KEYS)
def test_a_style_takes_its_keys_and_no_other(style: str) -> None:
    """All own keys together are fine; each foreign one is refused by name; what is not written is not handed on."""
    own = {key: value(key) for key in _KEYS[style]}
    assert Pagination.model_validate({"type": style, **own}).written == own
    for key in set().union(*_KEYS.values()) - set(own):
        with pytest.raises(ValidationError, match=f"pagination type: {style} has no key {key}"):
            Pagination.model_validate({"type": style, **own, key: value(key)})


@pytest.mark.parametrize(("style", "key"), _NEEDED.items())
def test_what_a_style_cannot_do_without(style: str, key: str) -> None:
    """A missing key is told when the file is read, not when the task runs."""
    with pytest.raises(ValidationError, match=f"{style} needs {key}"):
        Pagination.model_validate({"type": style})


@pytest.mark.parametrize(
    "path", ["next", "$.next", "$", "data.items", "['@odata.nextLink']", "$['a b'].next-page", "@x.y"]
)
def test_paths(path: str) -> None:
    """Names with dots, and odd names in brackets, lead into an answer."""
    assert Pagination(type="json_link", next_url_path=path).next_url_path == path


@pytest.mark.parametrize("path", ["", "a..b", "$..next", "a[?(@.x)]", "a.*", "a b", "['it's']", "a."])
def test_what_is_no_path(path: str) -> None:
    """Filters, wildcards and searches at any depth are refused: they could be slow, and mean several places."""
    with pytest.raises(ValidationError):
        Pagination(type="json_link", next_url_path=path)
