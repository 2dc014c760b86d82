"""The `trigger:` block: limits, timing, and what the run is told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import Field, JsonValue, field_validator, model_validator

from watcher.pipeline.base import Many, Strict, refusal
from watcher.pipeline.user_conf import RESERVED, check_user_conf
from watcher.pipeline.values import Count, Duration, Id, Positive, Size

_LIMITS: Final = ("changes", "bytes", "files", "any", "all")
_Branches = Annotated[Many["Branch"], Field(min_length=1, max_length=100)]


class Limits(Strict):
    """Run when that much is pending: whichever limit is reached first, or what `any` and `all` say instead."""

    changes: Count | None = None
    bytes: Size | None = None
    files: Count | None = None
    within: Positive | None = None
    any: _Branches | None = None
    all: _Branches | None = None

    @property
    def limited(self) -> bool:
        """Whether one of changes, bytes and files is given."""
        return not (self.changes is None and self.bytes is None and self.files is None)

    @model_validator(mode="after")
    def _one_kind(self) -> Limits:
        kinds = [kind for kind in ("any", "all") if getattr(self, kind) is not None]
        if len(kinds) > 1:
            raise refusal("any and all cannot stand side by side", hint="put one of them inside the other", at=("all",))
        if kinds and self.limited:
            raise refusal(
                f"limits and {kinds[0]} cannot stand side by side",
                hint="make the limits a branch of their own",
                at=(kinds[0],),
            )
        if self.within is not None and not self.limited:
            raise refusal("within needs changes, bytes or files beside it", at=("within",))
        return self


class Branch(Limits):
    """One condition inside `any` or `all`; without `source` it counts what all sources have pending."""

    source: Id | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Branch:
        if not self.limited and self.any is None and self.all is None:
            raise refusal("a branch needs changes, bytes, files, any or all", code="missing-key")
        if self.source is not None and not self.limited:
            raise refusal("source belongs to limits, not to any or all", at=("source",))
        return self


class Trigger(Limits):
    """When to fire. Without any limit and without max_wait one change is enough."""

    max_wait: Positive | None = None
    settle: Duration = timedelta(0)
    cooldown: Duration = timedelta(0)
    while_running: Literal["coalesce", "queue", "parallel"] = "coalesce"
    max_batch: Count | None = None
    payload: Literal["summary", "files", "keys"] | None = None
    conf: dict[str, JsonValue] = Field(default_factory=dict)
    commit: Literal["on_trigger", "on_success"] = "on_trigger"

    @model_validator(mode="before")
    @classmethod
    def _one_change(cls, values: Any) -> Any:
        if not isinstance(values, dict) or any(values.get(key) is not None for key in (*_LIMITS, "max_wait")):
            return values
        return values | {"changes": 1}

    @field_validator("conf", mode="after")
    @classmethod
    def _fits_json(cls, conf: dict[str, JsonValue]) -> dict[str, JsonValue]:
        for sentence in check_user_conf(conf):
            spoiled = (at for at, leaf in _leaves(conf, ()) if check_user_conf({"value": leaf}))
            at = (RESERVED,) if RESERVED in conf else next(spoiled, ())
            raise refusal(sentence, hint="take another name" if RESERVED in conf else "", at=at)
        return conf


def branches(limits: Limits) -> Iterator[tuple[tuple[str | int, ...], Branch]]:
    """Every branch below a trigger with the way to it, outermost first."""
    for kind in ("any", "all"):
        for place, branch in enumerate(getattr(limits, kind) or ()):
            yield (kind, place), branch
            for way, inner in branches(branch):
                yield (kind, place, *way), inner


def _leaves(value: Any, at: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in inner:
        yield from _leaves(item, (*at, step))
    if not isinstance(value, dict | list):
        yield at, value


Branch.model_rebuild()
Trigger.model_rebuild()
NO_TRIGGER: Final = Trigger(changes=1, settle=timedelta(seconds=5))
"""The trigger of a file that has neither a trigger nor a schedule."""
