"""How an API's list goes on from one answer to the next: dlt's styles of pagination by its own names, closed and checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field, model_validator

from watcher.pipeline.base import Like, Strict, refusal
from watcher.pipeline.values import Count, CountOrNone, Flag, Name

_STEP: Final = r"(?:[A-Za-z_@][A-Za-z0-9_@-]*|\['[^'\]]+'\])"
JsonPath = Annotated[
    str, Like(rf"(?:\$\.?)?{_STEP}(?:\.{_STEP}|\['[^'\]]+'\])*|\$", "a path in the answer, such as data.items")
]
"""Where something stands in a JSON answer: names with dots between them, odd ones as `['@odata.nextLink']`."""

_COUNTED: Final = ("total_path", "has_more_path", "stop_after_empty_page")
_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "single_page": (),
    "header_link": ("links_next_key",),
    "json_link": ("next_url_path",),
    "cursor": ("cursor_path", "cursor_param", "has_more_path", "stop_after_empty_page"),
    "header_cursor": ("cursor_key", "cursor_param"),
    "offset": ("limit", "offset", "limit_param", "offset_param", "maximum_offset", *_COUNTED),
    "page_number": ("base_page", "page", "page_param", "maximum_page", *_COUNTED),
}
_NEEDED: Final[Mapping[str, str]] = {"json_link": "next_url_path", "cursor": "cursor_path", "offset": "limit"}


class Pagination(Strict):
    """One style and its keys; a key of another style is refused. Without `pagination` the style is found from the answers."""

    type: Literal["single_page", "header_link", "json_link", "cursor", "header_cursor", "offset", "page_number"]
    links_next_key: Name | None = None
    next_url_path: JsonPath | None = None
    cursor_path: JsonPath | None = None
    cursor_key: Name | None = None
    cursor_param: Name | None = None
    limit: Count | None = None
    offset: CountOrNone | None = None
    limit_param: Name | None = None
    offset_param: Name | None = None
    maximum_offset: Count | None = None
    base_page: CountOrNone | None = None
    page: CountOrNone | None = None
    page_param: Name | None = None
    maximum_page: Count | None = None
    total_path: JsonPath | None = None
    has_more_path: JsonPath | None = None
    stop_after_empty_page: Flag | None = Field(default=None)

    @model_validator(mode="after")
    def _own_keys(self) -> Pagination:
        known = _KEYS[self.type]
        for key in self.written:
            if key not in known:
                hint = f"its keys: {', '.join(known)}" if known else "it has no other keys"
                raise refusal(f"pagination type: {self.type} has no key {key}", hint=hint, at=(key,))
        needed = _NEEDED.get(self.type)
        if needed is not None and needed not in self.written:
            raise refusal(
                f"pagination type: {self.type} needs {needed}",
                code="missing-key",
                hint=f"add `{needed}:`",
                at=("type",),
            )
        return self

    @property
    def written(self) -> dict[str, Any]:
        """The keys beside `type` that were given, as dlt takes them."""
        return self.model_dump(exclude={"type"}, exclude_none=True)
