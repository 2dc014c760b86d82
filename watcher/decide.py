"""The one rule for when to run: pure, so the same trigger, pending, gate and time always give the same decision."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from watcher.pipeline.figures import elapsed, size
from watcher.pipeline.model import Branch, Trigger
from watcher.pipeline.values import format_duration

MAX_OPEN: Final = 16
"""As many batches of one pipeline may be open at once; more wait for room."""

_MAX_PARTS: Final = 8
_ENDLESS: Final = datetime.max.replace(tzinfo=UTC)

Measure = Literal["changes", "bytes", "files"]
Kind = Literal["changes", "bytes", "files", "max_wait", "settle", "manual", "replay", "backfill"]
State = Literal["quiet", "pending", "settling", "cooling", "collecting", "held"]


@dataclass(frozen=True, slots=True)
class Arrival:
    """One detection that waits, or several folded ones: folded only when older than every `within` of the trigger."""

    source_id: str
    first_at: datetime
    last_at: datetime
    changes: int
    bytes: int = 0
    files: int = 0


@dataclass(frozen=True, slots=True)
class Pending:
    """What waits. `last_fired_at` is that of the newest batch, by number.

    `open_batches` counts those that are ready or confirmed, `unconfirmed` the ready ones.
    """

    arrivals: tuple[Arrival, ...] = ()
    last_fired_at: datetime | None = None
    open_batches: int = 0
    unconfirmed: int = 0


@dataclass(frozen=True, slots=True)
class Gate:
    """What Airflow allows now. `code` None is open, else the error code of what stands in the way."""

    code: str | None = None
    sentence: str = ""

    @property
    def open(self) -> bool:
        return self.code is None


OPEN: Final = Gate()


@dataclass(frozen=True, slots=True)
class Condition:
    """One line of why: `text` has the present value beside what is asked for, `met` the answer to it."""

    name: str
    text: str
    met: bool


@dataclass(frozen=True, slots=True)
class Fire:
    """Make a batch now, of the oldest `max_changes` changes, or of all with None."""

    reason: str
    kind: Kind
    because: tuple[Condition, ...] = ()
    max_changes: int | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now. `until` is the earliest moment at which this can change without new input; None: only new input can."""

    until: datetime | None
    because: tuple[Condition, ...] = ()
    state: State = "quiet"


Decision = Fire | Wait


def decide(trigger: Trigger, pending: Pending, gate: Gate, now: datetime) -> Decision:
    """Whether what is pending becomes a batch now. All times are aware.

    A limit that is met fires once `settle` and `cooldown` are over; `max_wait` fires without any of the three. Nothing
    fires empty, through a closed gate, or beside an open batch where `while_running` forbids it.
    """
    arrivals = tuple(arrival for arrival in pending.arrivals if arrival.changes > 0)
    limits = _check(trigger, _Scope(arrivals, now, within=trigger.within))
    timers = _Timers.of(trigger, arrivals, pending.last_fired_at, now)
    because = (*limits.lines, *timers.lines, _running(trigger, pending), _gate(gate))
    if not arrivals:
        return Wait(None, because, "quiet")
    state, overdue = timers.state(limits), timers.overdue
    blocked = _blocked(trigger, pending, gate)
    if state is not None and overdue is None:
        return Wait(None if blocked else _until(trigger, arrivals, timers), because, state)
    if blocked is not None:
        return Wait(None, because, blocked)
    if state is not None and overdue is not None:
        return Fire(overdue, "max_wait", because, trigger.max_batch)
    kind, reason = _reason(limits, timers)
    return Fire(reason, kind, because, trigger.max_batch)


def largest_within(trigger: Trigger) -> timedelta | None:
    """The largest `within` in the trigger; None when there is none. Older arrivals may be folded, per source."""
    return max(_withins(trigger), default=None)


def _withins(node: Trigger | Branch) -> Iterator[timedelta]:
    if node.within is not None:
        yield node.within
    for branch in (*(node.any or ()), *(node.all or ())):
        yield from _withins(branch)


# -- limits ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Scope:
    """What counts at one place of the tree."""

    arrivals: tuple[Arrival, ...]
    now: datetime
    source: str | None = None
    within: timedelta | None = None
    depth: int = 0

    def enter(self, branch: Branch) -> _Scope:
        return replace(self, source=branch.source, within=branch.within, depth=self.depth + 1)

    def totals(self) -> dict[Measure, int]:
        counted = [arrival for arrival in self.arrivals if self._counts(arrival)]
        return {
            "changes": sum(arrival.changes for arrival in counted),
            "bytes": sum(arrival.bytes for arrival in counted),
            "files": sum(arrival.files for arrival in counted),
        }

    def _counts(self, arrival: Arrival) -> bool:
        ours = self.source is None or arrival.source_id == self.source
        return ours and (self.within is None or self.now - arrival.last_at < self.within)


@dataclass(frozen=True, slots=True)
class _Checked:
    """The answer of one place of the tree: the limits that were met, in words, and a line for each that was asked."""

    met: bool
    parts: tuple[tuple[Measure, str], ...] = ()
    lines: tuple[Condition, ...] = ()


def _check(node: Trigger | Branch, scope: _Scope) -> _Checked:
    """Whichever of the limits side by side is reached first, then the branches."""
    found = list(_check_limits(node, scope))
    for name, branches in (("any", node.any), ("all", node.all)):
        if branches:
            found.append(_check_branches(name, branches, scope))
    first = next((checked for checked in found if checked.met), _Checked(False))
    return _Checked(first.met, first.parts, tuple(line for checked in found for line in checked.lines))


def _check_limits(node: Trigger | Branch, scope: _Scope) -> Iterator[_Checked]:
    limits: dict[Measure, int | None] = {"changes": node.changes, "bytes": node.bytes, "files": node.files}
    totals = scope.totals() if any(limit is not None for limit in limits.values()) else {}
    start = "" if scope.source is None else f"{scope.source} "
    end = "" if scope.within is None else f" within {format_duration(scope.within)}"
    for measure, limit in limits.items():
        if limit is None:
            continue
        have, met = totals[measure], totals[measure] >= limit
        pair = (size(have), size(limit)) if measure == "bytes" else (f"{have:,}", f"{limit:,}")
        exact = pair if measure == "bytes" else (str(have), str(limit))
        line = Condition(measure, f"{'  ' * scope.depth}{start}{measure} {pair[0]} of {pair[1]}{end}", met)
        reason = f"{start}{measure} {exact[0]} >= {exact[1]}{end}"
        yield _Checked(met, ((measure, reason),) if met else (), (line,))


def _check_branches(name: str, branches: Iterable[Branch], scope: _Scope) -> _Checked:
    checked = [_check(branch, scope.enter(branch)) for branch in branches]
    good = [branch for branch in checked if branch.met]
    met = bool(good) if name == "any" else len(good) == len(checked)
    parts = tuple(part for branch in good for part in branch.parts) if met else ()
    title = Condition(name, f"{'  ' * scope.depth}{name} of {len(checked)} branches: {len(good)} met", met)
    return _Checked(met, parts, (title, *(line for branch in checked for line in branch.lines)))


def _reason(limits: _Checked, timers: _Timers) -> tuple[Kind, str]:
    if not limits.parts:
        return "settle", f"settle {format_duration(timers.settle.length)}"
    texts = [text for _, text in limits.parts[:_MAX_PARTS]]
    more = len(limits.parts) - len(texts)
    return limits.parts[0][0], " and ".join([*texts, f"{more} more"] if more else texts)


# -- time --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Timer:
    """A length of time after `since`, which None means has long passed.

    A `since` a little in the future is a clock slightly ahead. One further ahead than the length itself was written by
    a clock that was set back since: to believe it could wait for ever, so its time counts as over.
    """

    since: datetime | None
    length: timedelta
    now: datetime

    @property
    def doubted(self) -> bool:
        return self.since is not None and self.since - self.now > self.length

    @property
    def left(self) -> timedelta:
        if self.since is None or self.doubted:
            return timedelta()
        return max(self.length - (self.now - self.since), timedelta())

    @property
    def over(self) -> bool:
        return not self.left

    @property
    def until(self) -> datetime:
        return self.now + self.left if self.left < _ENDLESS - self.now else _ENDLESS

    def words(self, pattern: str, never: str) -> str:
        """The present value: `pattern` has one place for how long ago; `never` stands where there is no `since`."""
        if self.since is None:
            return never
        if self.doubted:
            return f"dated {elapsed(self.since - self.now)} ahead of the clock"
        return pattern.format(elapsed(self.now - self.since))


@dataclass(frozen=True, slots=True)
class _Timers:
    max_wait: _Timer | None
    settle: _Timer
    cooldown: _Timer

    @classmethod
    def of(cls, trigger: Trigger, arrivals: tuple[Arrival, ...], fired: datetime | None, now: datetime) -> _Timers:
        first = min((arrival.first_at for arrival in arrivals), default=None)
        believed = (arrival.last_at for arrival in arrivals if arrival.last_at - now <= trigger.settle)
        return cls(
            None if trigger.max_wait is None else _Timer(first, trigger.max_wait, now),
            _Timer(max(believed, default=None), trigger.settle, now),
            _Timer(fired, trigger.cooldown, now),
        )

    def state(self, limits: _Checked) -> Literal["pending", "settling", "cooling"] | None:
        """What is waited for beside `max_wait`; None when it is time. Without any limit `settle` is the rule."""
        if not limits.met and (limits.lines or not self.settle.length):
            return "pending"
        if not self.settle.over:
            return "settling"
        return None if self.cooldown.over else "cooling"

    @property
    def overdue(self) -> str | None:
        """Why `max_wait` fires now; None when it does not."""
        if self.max_wait is None or not self.max_wait.over:
            return None
        doubt = ", the clock was set back" if self.max_wait.doubted else ""
        return f"max_wait {format_duration(self.max_wait.length)}{doubt}"

    @property
    def lines(self) -> Iterator[Condition]:
        if self.max_wait is not None:
            length = format_duration(self.max_wait.length)
            text = self.max_wait.words("{} of " + length, f"{length}, nothing waits")
            yield Condition(
                "max_wait", f"max_wait {text}", self.overdue is not None and self.max_wait.since is not None
            )
        if self.settle.length:
            text = self.settle.words("quiet for {} of " + format_duration(self.settle.length), "quiet")
            yield Condition("settle", text, self.settle.over)
        if self.cooldown.length:
            text = self.cooldown.words("last batch {} ago", "no batch yet")
            yield Condition("cooldown", f"{text}, cooldown {format_duration(self.cooldown.length)}", self.cooldown.over)


def _until(trigger: Trigger, arrivals: tuple[Arrival, ...], timers: _Timers) -> datetime | None:
    """The earliest moment at which time alone may fire. A limit `within` a stretch may have lapsed by then."""
    moments = [] if timers.max_wait is None else [timers.max_wait.until]
    calm = max(timers.settle.until, timers.cooldown.until)
    limits = _check(trigger, _Scope(arrivals, calm, within=trigger.within))
    if limits.met or (not limits.lines and timers.settle.length):
        moments.append(calm)
    return min(moments, default=None)


# -- what stands in the way --------------------------------------------------------------------------------------------


def _blocked(trigger: Trigger, pending: Pending, gate: Gate) -> Literal["held", "collecting"] | None:
    if not gate.open or pending.open_batches >= MAX_OPEN:
        return "held"
    return None if _running(trigger, pending).met else "collecting"


def _running(trigger: Trigger, pending: Pending) -> Condition:
    count = pending.open_batches
    text = f"{count} open {'batch' if count == 1 else 'batches'}" if count else "no open batch"
    if count >= MAX_OPEN:
        return Condition("running", f"{text}, {MAX_OPEN} are the most", False)
    if trigger.while_running == "coalesce":
        return Condition("running", text, count == 0)
    if trigger.while_running == "queue" and pending.unconfirmed:
        return Condition("running", f"{text}, {pending.unconfirmed} not confirmed", False)
    return Condition("running", text, True)


def _gate(gate: Gate) -> Condition:
    return Condition("gate", gate.sentence or gate.code or "DAG known, not paused", gate.open)
