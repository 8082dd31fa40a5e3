"""What an invariant sees: the history joined by task."""

from dataclasses import dataclass
from functools import cached_property

from chaosfuzz.domain.contract import Contract
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

    def end_ns(self, execution: Execution) -> int:
        """When an execution ended: its own end, its process's exit, or now."""
        if execution.end_ns is not None:
            return execution.end_ns
        exits = (e.at_ns for e in self.history.exits if e.pid == execution.pid)
        return min(exits, default=self.now_ns)

    def excused(self, execution: Execution) -> bool:
        """Say whether a fault justifies running this execution's task once more.

        Its component was killed, paused or cut off, or the database was down, between its start
        and its end plus the acknowledgement grace (DESIGN: re-execution is justified only then).
        """
        end_ns = self.end_ns(execution) + self.contract.acknowledgement_grace_ms * 10**6
        return any(
            fault.touches(execution.start_ns, end_ns)
            for fault in self.history.faults
            if fault.kind is FaultKind.DATABASE_DOWN or fault.component == execution.component
        )

    def faults(self, start_ns: int, end_ns: int) -> tuple[Fault, ...]:
        """Faults in force at some time of the interval."""
        return tuple(f for f in self.history.faults if f.touches(start_ns, end_ns))

    def stalled(self, start_ns: int, end_ns: int) -> bool:
        """Say whether the machine itself stood still in the interval, which excuses lateness."""
        return any(began <= end_ns and ended >= start_ns for began, ended in self.history.stalls)
