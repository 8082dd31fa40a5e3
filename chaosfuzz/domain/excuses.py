"""The table of faults that excuse findings, and the search in it.

An invariant asks `View`, which asks this table. Every answer is an `Excuse` or a `NoExcuse`;
both give their reason in words, for findings, stories and reports.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from chaosfuzz.domain.history import Fault, FaultKind
from chaosfuzz.domain.verdict import Kind

# A message names a fault that is at most so far from the window. Chosen by hand.
NEAR_NS = 5 * 10**9


class Effect(Enum):
    """The effects of faults. A fault that can have an effect excuses findings of that effect."""

    UNHEARD_END = "the queue does not learn how an execution ended"
    LATE_START = "a worker starts a task whose lease it lost"
    TASK_GIVEN_UP = "a queue that promises at most one execution drops a task"
    ANSWER_HELD_BACK = "an answer that the server sent does not reach the client"
    WAITING_TASK_HELD_UP = "a worker starts a task before one of higher priority"
    EXIT = "a worker ends by itself"
    DISTURBANCE = "a promise does not hold that is made for undisturbed times"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One row of the table.

    A fault excuses findings of `kinds` if it was in force at some instant of `during`. A fault of
    a kind in `own` excuses only the component that it hit, a fault of a kind in `any_component`
    every component. With `for_a_lease` it must have been in force for at least a lease of that
    time. `why` is the reason. `during` and `kinds` document the row; the caller applies them.
    """

    own: frozenset[FaultKind] = frozenset()
    any_component: frozenset[FaultKind] = frozenset()
    during: str
    kinds: tuple[Kind, ...]
    why: str
    for_a_lease: bool = False

    def counts(self, fault: Fault, component: str) -> bool:
        """Say whether a fault's kind, and the component that it hit, can excuse `component`."""
        is_own = fault.kind in self.own and fault.component == component
        return is_own or fault.kind in self.any_component


_EVERY = frozenset(FaultKind)
_OF_DATABASE = frozenset({FaultKind.DATABASE_DOWN, FaultKind.DISK_FULL})
# A process that starts after one of these holds no task, so it starts none late.
_PROCESS_ENDS = frozenset({FaultKind.KILLED, FaultKind.STOPPED, FaultKind.SERVER_DOWN})

RULES: dict[Effect, Rule] = {
    Effect.UNHEARD_END: Rule(
        own=_EVERY,
        any_component=_OF_DATABASE,
        during="from the execution's start to its end plus the acknowledgement grace",
        kinds=(Kind.RERUN, Kind.OVERLAP, Kind.GAVE_UP, Kind.STATE_REGRESSION, Kind.BREAKER),
        why="the acknowledgement may not have reached the queue",
    ),
    Effect.LATE_START: Rule(
        own=_EVERY - _PROCESS_ENDS,
        any_component=_OF_DATABASE,
        during="between the task's creation and the execution's start",
        kinds=(Kind.RERUN, Kind.OVERLAP),
        why="by contract a worker starts what it took before its lease ran out",
        for_a_lease=True,
    ),
    Effect.TASK_GIVEN_UP: Rule(
        any_component=_EVERY,
        during="since the task's creation",
        kinds=(Kind.LOST, Kind.STUCK, Kind.FINISHED_UNACKED, Kind.FALSE_COMPLETION),
        why="a queue that promises at most one execution may drop a task after a fault",
    ),
    Effect.ANSWER_HELD_BACK: Rule(
        own=_EVERY,
        during="between the request and the end of waiting for its answer",
        kinds=(Kind.UNHEALTHY,),
        why="the answer may have been sent and not have reached the client",
    ),
    Effect.WAITING_TASK_HELD_UP: Rule(
        own=_EVERY,
        any_component=frozenset({FaultKind.DATABASE_DOWN}),
        during="between the task's creation and its start",
        kinds=(Kind.ORDER,),
        why="the worker may have taken its tasks before the fault",
    ),
    Effect.EXIT: Rule(
        own=frozenset({FaultKind.CUT_OFF}),
        any_component=frozenset({FaultKind.DATABASE_DOWN}),
        during="at any time of the run",
        kinds=(Kind.WORKER_EXIT,),
        why="by contract a worker may end after it lost its database",
    ),
    Effect.DISTURBANCE: Rule(
        any_component=_EVERY,
        during="in the time that the finding is about",
        kinds=(Kind.GAVE_UP, Kind.PHANTOM, Kind.DEGRADED),
        why="the promise holds for undisturbed times",
    ),
}

# A kind without a phrase is described by its value, as in "worker-1 paused".
_PHRASES = {
    FaultKind.CUT_OFF: "{} cut off",
    FaultKind.KEPT_STILL: "{} held still at its moment",
    FaultKind.DATABASE_DOWN: "database down",
    FaultKind.SERVER_DOWN: "server down",
    FaultKind.SLOWED: "{} slowed down",
    FaultKind.CLOCK_WRONG: "clock of {} set wrong",
    FaultKind.DISK_FULL: "disk of the database full",
}


@dataclass(frozen=True, kw_only=True)
class Window:
    """The time in which a fault excuses; `began` and `ended` describe its bounds in words.

    `component` is the component of the finding, empty if it has none.
    """

    began_ns: int
    ended_ns: int
    began: str
    ended: str
    component: str = ""

    def overlap_ns(self, fault: Fault) -> int:
        """Return how long a fault was in force in the window; 0 or less if it was not."""
        ended_ns = self.ended_ns if fault.ended_ns is None else min(fault.ended_ns, self.ended_ns)
        return ended_ns - max(fault.began_ns, self.began_ns)

    def gap_ns(self, fault: Fault) -> int:
        """Return the time between a fault and the window; 0 if the fault was in force in it."""
        before_ns = 0 if fault.ended_ns is None else self.began_ns - fault.ended_ns
        return max(0, before_ns, fault.began_ns - self.ended_ns)


@dataclass(frozen=True, kw_only=True)
class Excuse:
    """The reason why a finding breaks no promise. True in a condition.

    `words` describe the fault, `why` says how it can have caused the finding; `str` gives both.
    `fault` is None for a worker that ended by itself. `duration_ns` is how long the fault was in
    force, up to now if it still is.
    """

    words: str
    why: str
    component: str
    duration_ns: int = 0
    fault: Fault | None = None

    def __str__(self) -> str:
        """Return the words and the reason in parentheses."""
        return f"{self.words} ({self.why})"

    @property
    def note(self) -> str:
        """The excuse as a clause to append to a message."""
        return f"; excused by {self}"


@dataclass(frozen=True, kw_only=True)
class ExcusedRun:
    """An execution that repeats an earlier one of the same task, and its excuse."""

    task: int
    component: str
    at_ns: int
    excuse: Excuse

    def __str__(self) -> str:
        """Return task, component and excuse as a sentence."""
        return f"task {self.task} ran again on {self.component}: excused by {self.excuse}"


@dataclass(frozen=True, kw_only=True)
class NoExcuse:
    """The answer that no fault excuses a finding. False in a condition.

    `forbidden` says why the contract admits no excuse; empty if it admits one.
    """

    faults: Sequence[Fault]
    window: Window
    rule: Rule
    lease_ns: int
    now_ns: int
    forbidden: str = ""

    def __bool__(self) -> bool:
        """Return False."""
        return False

    @property
    def note(self) -> str:
        """A clause to append to a message: the nearest fault, and why it does not excuse.

        Empty if no fault was in force within 5 s of the window.
        """
        near = [each for each in self.faults if self.window.gap_ns(each) <= NEAR_NS]
        if not near:
            return ""
        fault = min(
            near,
            key=lambda each: (
                self.window.gap_ns(each),
                not self.rule.counts(each, self.window.component),
            ),
        )
        words = describe_fault(fault, self.now_ns, 0)
        return f"; the nearest fault, {words}, does not excuse it: {self._reason(fault)}"

    def _reason(self, fault: Fault) -> str:
        """Return why a fault does not excuse."""
        window = self.window
        if self.forbidden:
            return self.forbidden
        if fault.kind not in self.rule.own | self.rule.any_component:
            return "a fault of this kind cannot cause it"
        if not self.rule.counts(fault, window.component):
            return f"it did not hit {window.component}"
        if fault.ended_ns is not None and fault.ended_ns < window.began_ns:
            return f"it ended {_span(window.began_ns - fault.ended_ns)} before {window.began}"
        if fault.began_ns > window.ended_ns:
            return f"it began {_span(fault.began_ns - window.ended_ns)} after {window.ended}"
        return (
            f"it was in force for {_span(window.overlap_ns(fault))} of the time that counts, "
            f"less than the lease of {_span(self.lease_ns)}"
        )


Answer = Excuse | NoExcuse


def find_excuse(
    effect: Effect,
    faults: Sequence[Fault],
    window: Window,
    *,
    lease_ns: int,
    now_ns: int,
    forbidden: str = "",
) -> Answer:
    """Return an Excuse for the first fault that can have the effect in the window, else a NoExcuse.

    A `forbidden` that is not empty says why the contract admits no excuse; then no fault excuses.
    """
    rule = RULES[effect]
    for fault in faults if not forbidden else ():
        if _excuses(rule, fault, window, lease_ns):
            return Excuse(
                words=describe_fault(fault, now_ns, lease_ns),
                why=rule.why,
                component=fault.component,
                duration_ns=_duration_ns(fault, now_ns),
                fault=fault,
            )
    return NoExcuse(
        faults=faults,
        window=window,
        rule=rule,
        lease_ns=lease_ns,
        now_ns=now_ns,
        forbidden=forbidden,
    )


def describe_fault(fault: Fault, now_ns: int, lease_ns: int) -> str:
    """Return a fault and how long it was in force, in words; for kills and stops no length.

    If `lease_ns` is not 0 and shorter, the words say that the fault lasted longer than the lease.
    """
    duration_ns = _duration_ns(fault, now_ns)
    words = _PHRASES.get(fault.kind, f"{{}} {fault.kind}").format(fault.component)
    if fault.kind in {FaultKind.KILLED, FaultKind.STOPPED}:
        return words
    longer = f", longer than the lease of {_span(lease_ns)}" if 0 < lease_ns < duration_ns else ""
    return f"{words} for {_span(duration_ns)}{longer}"


def _excuses(rule: Rule, fault: Fault, window: Window, lease_ns: int) -> bool:
    if not rule.counts(fault, window.component):
        return False
    if rule.for_a_lease:
        return window.overlap_ns(fault) >= lease_ns
    return fault.touches(window.began_ns, window.ended_ns)


def _duration_ns(fault: Fault, now_ns: int) -> int:
    return max(0, (now_ns if fault.ended_ns is None else fault.ended_ns) - fault.began_ns)


def _span(length_ns: int) -> str:
    """Return a length of time in words: ms under a second, else s with one decimal."""
    return f"{length_ns / 1e6:.0f} ms" if length_ns < 10**9 else f"{length_ns / 1e9:.1f} s"
