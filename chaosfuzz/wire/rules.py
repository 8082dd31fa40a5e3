"""Moments: rules that say at which event something is done, and what came of them."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.moment import Side
from chaosfuzz.wire.event import Event, Status
from chaosfuzz.wire.intervention import Intervention

_TRACE_ENTRIES = 100_000


class Phase(Enum):
    """What a trace entry tells of an event."""

    ARRIVED = "arrived"
    ACTED = "acted"
    ENDED = "ended"


@dataclass(frozen=True, kw_only=True, slots=True)
class TraceEntry:
    """One thing that happened to an event, at a monotonic time. `detail` says how it ended."""

    at_ns: int
    phase: Phase
    component: str
    incarnation: int
    connection: int
    key: str
    nth: int
    detail: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Rule:
    """At the `nth` event that fits (every one for None), counted from when the rule is added.

    An event fits if component and key are its own and `matches` holds, as far as they are given.
    With `if_ended`, only events count of which that holds once they have ended: the second claim
    that found a task, whatever was polled in vain. It is for interventions AFTER. `tell` is
    called, on the proxy's thread, each time the intervention has acted.

    Raises:
        UsageError: `if_ended` for an intervention BEFORE, when no end is known.

    """

    intervention: Intervention
    component: str | None = None
    key: str | None = None
    matches: Callable[[Event], bool] | None = None
    if_ended: Callable[[Event], bool] | None = None
    nth: int | None = 1
    tell: Callable[[Event], None] | None = None

    def __post_init__(self) -> None:
        if self.if_ended is not None and self.intervention.side is Side.BEFORE:
            message = (
                "a rule with if_ended has an intervention BEFORE the request, when its end is "
                "not known yet"
            )
            raise UsageError(cause=message, remedy="use an intervention AFTER")

    def fits(self, event: Event) -> bool:
        """Say whether the rule is about this event."""
        return (
            (self.component is None or self.component == event.component)
            and (self.key is None or self.key == event.key)
            and (self.matches is None or self.matches(event))
        )


class RuleController:
    """Intervenes by rules, the first that applies, and keeps a trace of the last 100,000 entries.

    Implements Controller. Rules may be added and asked about from any thread. With
    `rows_wanted`, every event keeps so many result rows.
    """

    def __init__(self, rules: Iterable[Rule] = (), *, rows_wanted: int = 0) -> None:
        self.rows_wanted = rows_wanted
        self._lock = threading.RLock()
        self._condition = threading.Condition(self._lock)
        self._waiting = 0
        self._rules: tuple[Rule, ...] = tuple(rules)
        self._seen: dict[Rule, int] = {}
        self._deciding: dict[Event, Rule] = {}
        self._candidates: dict[Event, tuple[Rule, ...]] = {}
        self._fired: dict[Rule, tuple[Event, ...]] = {}
        self._listeners: tuple[Callable[[Event], None], ...] = ()
        self._trace: deque[tuple[int, Phase, Event, str]] = deque(maxlen=_TRACE_ENTRIES)

    def add(self, rule: Rule) -> None:
        """Have one more rule, with the least precedence."""
        with self._condition:
            self._rules = (*self._rules, rule)

    def add_listener(self, listener: Callable[[Event], None]) -> None:
        """Call back, on the proxy's thread, whenever an event has ended."""
        self._listeners = (*self._listeners, listener)

    def remove(self, rule: Rule) -> None:
        """Have the rule no longer, not at an event under way either; what it did stays known.

        Called on the proxy's thread, it does nothing more once this has returned.
        """
        with self._condition:
            self._rules = tuple(kept for kept in self._rules if kept is not rule)

    def fired(self, rule: Rule) -> tuple[Event, ...]:
        """Return the events at which the rule's intervention acted; none: it never came."""
        return self._fired.get(rule, ())

    def never_came(self) -> tuple[Rule, ...]:
        """Return the rules that have not acted."""
        return tuple(rule for rule in self._rules if rule not in self._fired)

    def wait_fired(self, rule: Rule, timeout_s: float) -> Event | None:
        """Wait until the rule has acted; return its first event, None if it never came."""
        self._wait(lambda: rule in self._fired, timeout_s)
        return next(iter(self._fired.get(rule, ())), None)

    def wait_ended(self, matches: Callable[[TraceEntry], bool], timeout_s: float) -> bool:
        """Wait until the trace has the end of an event that matches; False at the deadline."""

        def has_ended() -> bool:
            return any(e.phase is Phase.ENDED and matches(e) for e in self.trace())

        return self._wait(has_ended, timeout_s)

    def trace(self) -> tuple[TraceEntry, ...]:
        """Return what happened, in order."""
        with self._condition:
            entries = tuple(self._trace)
        return tuple(
            TraceEntry(
                at_ns=at_ns,
                phase=phase,
                component=event.component,
                incarnation=event.incarnation,
                connection=event.connection,
                key=event.key,
                nth=event.nth,
                detail=detail,
            )
            for at_ns, phase, event, detail in entries
        )

    def arrived(self) -> tuple[tuple[int, Event], ...]:
        """Return every event with when it arrived, in order."""
        with self._condition:
            entries = tuple(self._trace)
        return tuple((at_ns, event) for at_ns, phase, event, _ in entries if phase is Phase.ARRIVED)

    def ended_ns(self) -> dict[Event, int]:
        """Return when each event ended that has."""
        with self._condition:
            entries = tuple(self._trace)
        return {event: at_ns for at_ns, phase, event, _ in entries if phase is Phase.ENDED}

    def before(self, event: Event) -> Intervention | None:
        """Decide by the rules; every rule that fits counts the event."""
        event.rows_wanted = self.rows_wanted
        self._note(Phase.ARRIVED, event)
        fitting = [rule for rule in self._rules if rule.fits(event)]
        if not fitting:
            return None
        candidates = tuple(rule for rule in fitting if rule.if_ended is not None)
        chosen = self._count(rule for rule in fitting if rule.if_ended is None)
        if candidates:
            self._candidates[event] = candidates
        if chosen is not None:
            self._deciding[event] = chosen
            return chosen.intervention
        # Armed in case; at the end it shows whether one of them applies.
        return candidates[0].intervention if candidates else None

    def done(self, event: Event) -> None:
        """Note the end, and decide by the rules that needed to know it."""
        armed = self._candidates.pop(event, ())
        if armed:
            candidates = [rule for rule in armed if rule in self._rules]
            is_over = event.status in (Status.SKIPPED, Status.CUT)
            chosen = None
            if not is_over:
                chosen = self._count(rule for rule in candidates if _holds(rule, event))
            if event not in self._deciding:
                event.after = chosen.intervention if chosen is not None else None
                if chosen is not None:
                    self._deciding[event] = chosen
        if event.status is Status.SKIPPED:
            self._deciding.pop(event, None)
        self._note(Phase.ENDED, event, event.completion)
        for listener in self._listeners:
            listener(event)

    def acted(self, event: Event, intervention: Intervention) -> None:
        """Note that a rule has fired."""
        what = f"{type(intervention).__name__} {intervention.side.value}"
        rule = self._deciding.pop(event, None)
        if rule is not None:
            with self._condition:
                self._fired[rule] = (*self._fired.get(rule, ()), event)
        self._note(Phase.ACTED, event, what)
        if rule is not None and rule.tell is not None:
            rule.tell(event)

    def _count(self, fitting: Iterable[Rule]) -> Rule | None:
        """Count the event for every rule; return the first whose turn it is."""
        chosen = None
        for rule in fitting:
            seen = self._seen[rule] = self._seen.get(rule, 0) + 1
            if chosen is None and rule.nth in (None, seen):
                chosen = rule
        return chosen

    def _wait(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        with self._condition:
            self._waiting += 1
            try:
                return self._condition.wait_for(condition, timeout_s)
            finally:
                self._waiting -= 1

    def _note(self, phase: Phase, event: Event, detail: str = "") -> None:
        with self._lock:
            self._trace.append((time.monotonic_ns(), phase, event, detail))
            if self._waiting:
                self._condition.notify_all()


def _holds(rule: Rule, event: Event) -> bool:
    return rule.if_ended is not None and rule.if_ended(event)
