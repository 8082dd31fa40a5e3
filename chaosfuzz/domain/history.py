"""The append-only record of one schedule's run."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from chaosfuzz.domain.breaker import Breaker, BreakerTransition
from chaosfuzz.domain.outcome import Outcome
from chaosfuzz.domain.schedule import Step
from chaosfuzz.domain.task import Execution, TaskRequest, TaskState


@dataclass(frozen=True, kw_only=True)
class Creation:
    """One creation of a task that has been answered or given up.

    Several `task_ids` are different answers to requests with the same key.
    """

    request: TaskRequest
    outcome: Outcome
    task_ids: tuple[str, ...]
    sent_ns: int
    ended_ns: int
    detail: str = ""

    @property
    def acknowledged(self) -> bool:
        """Say whether the target acknowledged the task."""
        return self.outcome is Outcome.OK


class OperationKind(StrEnum):
    """Client operations on a task that exists."""

    CANCEL = "cancel"
    RETRY = "retry"


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One client operation on a task; `number` is the task's."""

    kind: OperationKind
    number: int
    outcome: Outcome
    sent_ns: int
    ended_ns: int


class InquiryKind(StrEnum):
    """Requests that change nothing; NONSENSE is an invalid one."""

    TASKS = "tasks"
    DEAD_LETTERS = "dead-letters"
    STATS = "stats"
    NONSENSE = "nonsense"


@dataclass(frozen=True, kw_only=True)
class Inquiry:
    """One request that changes nothing, with its answer.

    The outcome of NONSENSE is OK if it was refused. `total` is the number of tasks in STATS.
    """

    kind: InquiryKind
    user: int
    limit: int
    outcome: Outcome
    sent_ns: int
    ended_ns: int
    task_ids: tuple[str, ...] = ()
    total: int | None = None
    status: int | None = None
    detail: str = ""


class FaultKind(StrEnum):
    """Kinds of faults of a component. KEPT_STILL: frozen so that a fault strikes at its moment."""

    KILLED = "killed"
    # Ended gracefully, as asked.
    STOPPED = "stopped"
    PAUSED = "paused"
    CUT_OFF = "cut-off"
    KEPT_STILL = "kept-still"
    DATABASE_DOWN = "database-down"
    SERVER_DOWN = "server-down"
    SLOWED = "slowed"
    CLOCK_WRONG = "clock-wrong"
    DISK_FULL = "disk-full"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault in force from `began_ns` to `ended_ns` (None: still in force).

    It may take effect a little after it began, but by `certain_ns` (if known) it certainly had.
    """

    kind: FaultKind
    component: str
    began_ns: int
    ended_ns: int | None = None
    certain_ns: int | None = None

    def touches(self, start_ns: int, end_ns: int) -> bool:
        """Say whether the fault was in force at some time of the interval."""
        return self.began_ns <= end_ns and (self.ended_ns is None or self.ended_ns >= start_ns)


@dataclass(frozen=True, kw_only=True)
class ProcessExit:
    """The end of a component's process.

    `ordered` says whether a step ordered it. `detail` is the last output of the process. `at_ns` is
    when it ended; 0 if the system does not know, and then the run puts in when it heard of it.
    """

    component: str
    pid: int
    exit_code: int
    ordered: bool
    at_ns: int = 0
    detail: str = ""

    def known_by(self, now_ns: int) -> "ProcessExit":
        """Return the exit with this instant as its time unless its time is known."""
        return self if self.at_ns else replace(self, at_ns=now_ns)


class Health(StrEnum):
    """The target's answer to a health check."""

    WELL = "well"
    UNWELL = "unwell"
    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed-out"
    UNASKED = "unasked"


@dataclass(frozen=True, kw_only=True)
class Observation:
    """The observed state at one instant; `tasks` is None while the queue cannot be read.

    `breakers` are those that ever counted a failure. `transitions` are all of them so far.
    """

    at_ns: int
    tasks: tuple[TaskState, ...] | None
    health: Health = Health.UNASKED
    health_asked_ns: int = 0
    components_up: tuple[str, ...] = ()
    database_sessions: int = 0
    open_transactions: int = 0
    breakers: tuple[Breaker, ...] = ()
    transitions: tuple[BreakerTransition, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """A step with its result, see Performed."""

    index: int
    step: Step
    began_ns: int
    ended_ns: int
    outcome: Outcome
    applied: bool = True
    detail: str = ""


Record = (
    StepRecord | TaskRequest | Creation | Operation | Fault | ProcessExit | Observation | Inquiry
)
_ATTRIBUTES: Mapping[type[Record], str] = {
    StepRecord: "steps",
    TaskRequest: "asked",
    Creation: "creations",
    Operation: "operations",
    Fault: "faults",
    ProcessExit: "exits",
    Observation: "observations",
    Inquiry: "inquiries",
}


@dataclass(kw_only=True)
class History:
    """Everything a run recorded, in order. Threads may add records at the same time.

    Records are added by `add` and by the methods for faults, never to an attribute. The loop
    alone sets `executions`, `stalls`, `lateness` and `healed_ns`.

    `asked` has all requests for tasks, answered or not. `stalls` has the spans (began, ended) in ns
    during which the machine stood still. `lateness` has pairs: an instant, and by how many ns the
    harness was late then.
    """

    began_ns: int
    steps: Sequence[StepRecord] = field(default_factory=list)
    asked: Sequence[TaskRequest] = field(default_factory=list)
    creations: Sequence[Creation] = field(default_factory=list)
    operations: Sequence[Operation] = field(default_factory=list)
    faults: Sequence[Fault] = field(default_factory=list)
    exits: Sequence[ProcessExit] = field(default_factory=list)
    observations: Sequence[Observation] = field(default_factory=list)
    executions: tuple[Execution, ...] = ()
    stalls: Sequence[tuple[int, int]] = field(default_factory=list)
    lateness: Sequence[tuple[int, int]] = field(default_factory=list)
    healed_ns: int | None = None
    inquiries: Sequence[Inquiry] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self, record: Record) -> None:
        """Append a record to the sequence of its type."""
        with self._lock:
            getattr(self, _ATTRIBUTES[type(record)]).append(record)

    def names_of(self, number: int) -> frozenset[str]:
        """Return the token and the ids by which a task is known so far."""
        tokens = {request.token for request in self.asked if request.number == number}
        ids = (c.task_ids for c in self.creations if c.request.number == number)
        return frozenset(tokens.union(*ids))

    def begin_fault(self, kind: FaultKind, component: str, at_ns: int) -> None:
        """Record that a fault is in force from `at_ns` on."""
        self.add(Fault(kind=kind, component=component, began_ns=at_ns))

    def confirm_fault(self, kind: FaultKind, component: str, at_ns: int) -> None:
        """Record that the faults of this kind on the component have taken effect by `at_ns`."""
        self._change_fault(kind, component, lambda fault: replace(fault, certain_ns=at_ns))

    def end_fault(self, kind: FaultKind, component: str, at_ns: int) -> None:
        """Record that all faults of this kind on the component end at `at_ns`."""
        self._change_fault(kind, component, lambda fault: replace(fault, ended_ns=at_ns))

    def _change_fault(
        self, kind: FaultKind, component: str, change: Callable[[Fault], Fault]
    ) -> None:
        with self._lock:
            self.faults = [
                change(fault)
                if (fault.kind, fault.component, fault.ended_ns) == (kind, component, None)
                else fault
                for fault in self.faults
            ]

    def fault_in_force(self, kind: FaultKind) -> bool:
        """Say whether a fault of this kind is in force now."""
        return any(fault.kind is kind and fault.ended_ns is None for fault in self.faults)
