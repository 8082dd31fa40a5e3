"""Decide at which event of which component the proxy intervenes."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from chaosfuzz.domain.moment import Side
from chaosfuzz.domain.wire import Intervention
from chaosfuzz.wire.event import Event, Status

# Chosen by hand: a schedule makes some thousands of requests.
_RECORDED_EVENTS = 100_000


@dataclass(kw_only=True, eq=False)
class Rule:
    """One intervention, at the `nth` event that counts, from 1, since the rule was added.

    With the side BEFORE, every event counts that `matches` accepts when it arrives. With AFTER,
    `matches` must accept the event when it arrives, and `counts_at_end` when it has ended; an
    event that was skipped or cut never counts. `hold_ms` is the longest time, in milliseconds,
    that a HOLD lasts. `on_act` is called with the event when the intervention has begun.

    All callbacks run on the proxy's thread and must not block. So do all methods.
    """

    matches: Callable[[Event], bool]
    intervention: Intervention
    side: Side = Side.BEFORE
    nth: int = 1
    counts_at_end: Callable[[Event], bool] = lambda _event: True
    hold_ms: float = 0.0
    on_act: Callable[[Event], None] = lambda _event: None
    _count: int = 0
    _is_released: bool = False
    _on_release: list[Callable[[], None]] = field(default_factory=list)

    def count(self) -> bool:
        """Count one more event. Return whether the intervention acts at it."""
        self._count += 1
        return self._count == self.nth

    def release(self) -> None:
        """End the hold, now and if it has not begun yet."""
        self._is_released = True
        for callback in self._on_release:
            asyncio.get_running_loop().call_soon(callback)

    def call_on_release(self, callback: Callable[[], None]) -> None:
        """Call back once the hold is released; at once if it has been already."""
        self._on_release.append(callback)
        if self._is_released:
            self.release()


class RuleController:
    """Decide about every event by rules, and record the last 100,000 events.

    All methods run on the proxy's thread. If several rules act at the same event, the one that
    was added first acts; all of them count the event. The replies to every request keep
    `rows_wanted` result rows.
    """

    def __init__(self) -> None:
        self.rows_wanted = 0
        self._rules: list[Rule] = []
        self._events: deque[Event] = deque(maxlen=_RECORDED_EVENTS)

    @property
    def events(self) -> tuple[Event, ...]:
        """The recorded events, in the order in which they arrived."""
        return tuple(self._events)

    def add(self, rule: Rule) -> None:
        """Add a rule, the last in order. Events that have arrived before do not count for it."""
        self._rules.append(rule)

    def remove(self, rule: Rule) -> None:
        """Remove a rule, if it is there. It does not act at an event under way either."""
        if rule in self._rules:
            self._rules.remove(rule)

    def arrived(self, event: Event) -> Rule | None:
        """Record an event that is not forwarded yet. Return the rule that acts before it."""
        event.arrived_ns = time.monotonic_ns()
        event.rows_wanted = self.rows_wanted
        self._events.append(event)
        matching = [rule for rule in self._rules if rule.matches(event)]
        event.armed = tuple(rule for rule in matching if rule.side is Side.AFTER)
        return _first_due(rule for rule in matching if rule.side is Side.BEFORE)

    def ended(self, event: Event) -> Rule | None:
        """Return the rule that acts after an event that has ended, before its reply goes on."""
        armed, event.armed = event.armed, ()
        if event.status in (Status.SKIPPED, Status.CUT):
            return None
        return _first_due(r for r in armed if r in self._rules and r.counts_at_end(event))


def _first_due(rules: Iterable[Rule]) -> Rule | None:
    due = [rule for rule in rules if rule.count()]
    return due[0] if due else None
