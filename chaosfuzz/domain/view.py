"""What an invariant sees: the history joined by task."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from chaosfuzz.domain.action import TASK_TYPES
from chaosfuzz.domain.breaker import BreakerTransition
from chaosfuzz.domain.contract import Contract, Guarantee, WorkerExit
from chaosfuzz.domain.history import (
    Creation,
    Fault,
    FaultKind,
    History,
    Observation,
    Operation,
    OperationKind,
)
from chaosfuzz.domain.outcome import Outcome
from chaosfuzz.domain.task import Execution, TaskRequest, TaskState

# Faults of the database are everybody's.
_OF_ALL = (FaultKind.DATABASE_DOWN, FaultKind.DISK_FULL)
# Who starts anew has taken nothing before.
_OF_THE_DEAD = (FaultKind.KILLED, FaultKind.STOPPED, FaultKind.SERVER_DOWN)


@dataclass(frozen=True, kw_only=True)
class TaskView:
    """One creation with its rows, executions and operations.

    `states` are the rows now (more than one means a double creation); `seen` are all distinct
    states observed, oldest first.
    """

    creation: Creation
    states: tuple[TaskState, ...]
    seen: tuple[TaskState, ...]
    executions: tuple[Execution, ...]
    operations: tuple[Operation, ...]

    @property
    def number(self) -> int:
        """The task's number in the schedule, from 1."""
        return self.creation.request.number

    @property
    def request(self) -> TaskRequest:
        """What was asked for."""
        return self.creation.request

    @property
    def acknowledged(self) -> bool:
        """Say whether the target said it has the task."""
        return self.creation.acknowledged

    @property
    def state(self) -> TaskState | None:
        """The row, if there is one."""
        return self.states[0] if self.states else None

    @property
    def finished(self) -> bool:
        """Say whether an execution did the work to the end."""
        return any(execution.finished for execution in self.executions)

    def confirmed(self, kind: OperationKind) -> tuple[Operation, ...]:
        """Operations of a kind that the target confirmed."""
        return tuple(o for o in self.operations if o.kind is kind and o.outcome is Outcome.OK)

    def tried(self, kind: OperationKind) -> bool:
        """Say whether an operation of a kind may have taken effect."""
        return any(o.kind is kind and o.outcome is not Outcome.FAILED for o in self.operations)


@dataclass(frozen=True)
class View:
    """History and observed state at one instant.

    `final` is true after healing and settling. `readable` is false while the queue could not
    be read: then rows are unknown, not absent.
    """

    history: History
    contract: Contract
    final: bool
    now_ns: int

    @cached_property
    def latest(self) -> Observation | None:
        """The newest observation."""
        return self.history.observations[-1] if self.history.observations else None

    @cached_property
    def readable(self) -> bool:
        """Say whether the newest observation could read the queue."""
        return self.latest is not None and self.latest.tasks is not None

    def transitions(self, task_type: int) -> tuple[BreakerTransition, ...]:
        """Return what the circuit breaker of a task type has done, oldest first."""
        seen = self.latest.transitions if self.latest is not None else ()
        return tuple(each for each in seen if each.task_type == TASK_TYPES[task_type])

    @cached_property
    def tasks(self) -> tuple[TaskView, ...]:
        """All creations of the schedule in order, joined with what is known of them."""
        rows: dict[str, list[TaskState]] = {}
        for state in self.latest.tasks if self.latest and self.latest.tasks else ():
            rows.setdefault(state.token, []).append(state)
        seen: dict[str, list[TaskState]] = {}
        for observation in self.history.observations:
            for state in observation.tasks or ():
                known = seen.setdefault(state.token, [])
                if state not in known[-1:]:
                    known.append(state)
        executions: dict[str, list[Execution]] = {}
        for execution in self.history.executions:
            executions.setdefault(execution.token, []).append(execution)
        return tuple(
            TaskView(
                creation=creation,
                states=tuple(rows.get(creation.request.token, ())),
                seen=tuple(seen.get(creation.request.token, ())),
                executions=tuple(executions.get(creation.request.token, ())),
                operations=tuple(
                    o for o in self.history.operations if o.number == creation.request.number
                ),
            )
            for creation in self.history.creations
        )

    def came_up_ns(self, by_ns: int) -> int:
        """When a component was last seen to have come up, by an instant; 0 if none has."""
        seen = [o for o in self.history.observations if o.at_ns <= by_ns]
        grown = (
            after.at_ns
            for before, after in pairwise(seen)
            if set(after.components_up) - set(before.components_up)
        )
        return max(grown, default=0)

    def end_ns(self, execution: Execution) -> int:
        """When an execution ended: its own end, its process's exit, or now."""
        if execution.end_ns is not None:
            return execution.end_ns
        exits = (e.at_ns for e in self.history.exits if e.pid == execution.pid)
        return min(exits, default=self.now_ns)

    def excused(self, execution: Execution) -> bool:
        """Say whether a fault justifies running this execution's task once more.

        Its component was killed, paused or cut off, or the database was down, between its start
        and its end plus the acknowledgement grace (DESIGN: re-execution is justified only then);
        or its component ended by itself, where that breaks no promise. Nothing justifies it to a
        target that promises at most one.
        """
        if self.contract.guarantee is Guarantee.AT_MOST_ONCE:
            return False
        return self.struck(execution)

    def struck(self, execution: Execution) -> bool:
        """Say whether a fault may have hidden the end of an execution from the queue."""
        end_ns = self.end_ns(execution) + self.contract.acknowledgement_grace_ms * 10**6
        return self._touched(execution, end_ns) or (
            self.contract.worker_exit is not WorkerExit.BROKEN
            and any(
                e.component == execution.component and execution.start_ns <= e.at_ns <= end_ns
                for e in self.history.exits
            )
        )

    def was_killed(self, execution: Execution) -> bool:
        """Say whether its worker was killed before the queue need have heard of its end.

        Who is dead renews no lease, so that a slow machine has no part in what comes of it.
        """
        end_ns = self.end_ns(execution) + self.contract.acknowledgement_grace_ms * 10**6
        return any(
            fault.kind is FaultKind.KILLED
            and fault.component == execution.component
            and execution.start_ns <= fault.began_ns <= end_ns
            for fault in self.history.faults
        )

    def started_late(self, task: TaskView, *executions: Execution) -> bool:
        """Say whether any of them may have begun on a lease that was lost by then.

        If the first of two did, the task was free for the second; if the second did, the first
        had it by right.
        """
        return any(self._may_have_started_late(task, each) for each in executions)

    def _may_have_started_late(self, task: TaskView, execution: Execution) -> bool:
        """Say whether its worker may have had the task since before it lost its lease.

        Between creation and start it was paused, cut off or without the database for a lease, and
        the contract admits that it goes on all the same with what it took before.
        """
        if not self.contract.late_start_is_declared:
            return False
        since_ns, until_ns = task.creation.sent_ns, execution.start_ns
        return any(
            fault.kind not in _OF_THE_DEAD
            and (fault.kind in _OF_ALL or fault.component == execution.component)
            and _length_ns(fault, since_ns, until_ns) >= self.contract.lease_ms * 10**6
            for fault in self.history.faults
        )

    def _touched(self, execution: Execution, end_ns: int) -> bool:
        return any(
            fault.touches(execution.start_ns, end_ns)
            for fault in self.history.faults
            if fault.kind in _OF_ALL or fault.component == execution.component
        )

    def may_lose(self, task: TaskView) -> bool:
        """Say whether the target may give a task up: it promises at most one, and was disturbed."""
        return self.contract.guarantee is Guarantee.AT_MOST_ONCE and bool(
            self.faults(task.creation.sent_ns, self.now_ns)
        )

    def faults(self, start_ns: int, end_ns: int) -> tuple[Fault, ...]:
        """Faults in force at some time of the interval."""
        return tuple(f for f in self.history.faults if f.touches(start_ns, end_ns))

    def stalled(self, start_ns: int, end_ns: int) -> bool:
        """Say whether the machine itself stood still in the interval, which excuses lateness."""
        return any(began <= end_ns and ended >= start_ns for began, ended in self.history.stalls)

    def may_have_lost_lease(self, first: Execution, second: Execution) -> bool:
        """Say whether the machine alone may have kept the first from renewing its lease.

        Leases do not end sooner than a quarter of their time.
        """
        part_ns = self.contract.lease_ms * 10**6 // 4
        return second.start_ns - first.start_ns >= part_ns and self.kept_from_lease(second.start_ns)

    def kept_from_lease(self, at_ns: int) -> bool:
        """Say whether at an instant the machine alone may have cost any worker its lease.

        In the two leases before it stood still, or a thread that does nothing waited for a
        processor for a quarter of a lease.
        """
        part_ns = self.contract.lease_ms * 10**6 // 4
        since_ns = at_ns - 8 * part_ns
        return self.late_ns(since_ns, at_ns) >= part_ns or self.stalled(since_ns, at_ns)

    def late_ns(self, start_ns: int, end_ns: int) -> int:
        """Return how long, in the interval, a thread that does nothing waited for a processor.

        A target waits as long at every one of the many turns that its processes take.
        """
        before = [late for at_ns, late in self.history.lateness if at_ns <= start_ns]
        after = [late for at_ns, late in self.history.lateness if at_ns >= end_ns]
        known = self.history.lateness
        if not known:
            return 0
        first = before[-1] if before else known[0][1]
        return (after[0] if after else known[-1][1]) - first


def _length_ns(fault: Fault, since_ns: int, until_ns: int) -> int:
    """Return how long a fault was in force within an interval."""
    ended_ns = until_ns if fault.ended_ns is None else min(fault.ended_ns, until_ns)
    return ended_ns - max(fault.began_ns, since_ns)
