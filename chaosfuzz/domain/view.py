"""The view that an invariant gets: the history joined by task, and the excuses for findings.

docs/invariants.md says which helper to use when.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from chaosfuzz.domain.action import TASK_TYPES
from chaosfuzz.domain.breaker import BreakerTransition
from chaosfuzz.domain.contract import Contract, Guarantee, WorkerExit
from chaosfuzz.domain.excuses import Answer, Effect, Excuse, ExcusedRun, Window, find_excuse
from chaosfuzz.domain.history import (
    Creation,
    Fault,
    FaultKind,
    History,
    Observation,
    Operation,
    OperationKind,
    ProcessExit,
)
from chaosfuzz.domain.moment import CLIENT
from chaosfuzz.domain.outcome import Outcome
from chaosfuzz.domain.task import Execution, TaskRequest, TaskState

# Further from any instant of a run than a run can last.
_ALWAYS_NS = 2**63


@dataclass(frozen=True, kw_only=True)
class TaskView:
    """One creation of a task, with its rows in the queue, its executions and its operations.

    `states` are the task's rows in the newest observation: none if the queue could not be read or
    has no row, several if one creation made several tasks. `seen` are the rows of all observations,
    oldest first, without repeats. `executions` come from the ledger, in its order.
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
        """The request that the client sent."""
        return self.creation.request

    @property
    def acknowledged(self) -> bool:
        """Say whether the target answered that it accepted the task."""
        return self.creation.acknowledged

    @property
    def state(self) -> TaskState | None:
        """The task's row in the queue, the first of several; None if there is none."""
        return self.states[0] if self.states else None

    @property
    def finished(self) -> bool:
        """Say whether, by the ledger, an execution did its work to the end without failing."""
        return any(execution.finished for execution in self.executions)

    def confirmed(self, kind: OperationKind) -> tuple[Operation, ...]:
        """Return the operations of a kind that the target confirmed."""
        return tuple(o for o in self.operations if o.kind is kind and o.outcome is Outcome.OK)

    def tried(self, kind: OperationKind) -> bool:
        """Say whether a client sent an operation of a kind that the target did not refuse.

        An operation without an answer counts, since it may have taken effect.
        """
        return any(o.kind is kind and o.outcome is not Outcome.FAILED for o in self.operations)


@dataclass(frozen=True)
class View:
    """The history of a run up to one instant, `now_ns`, by the machine's monotonic clock.

    `final` is true for the last check, after healing and settling. Helpers that return an `Answer`
    ask the table in `domain.excuses`: an `Excuse` is true in a condition, a `NoExcuse` false.
    """

    history: History
    contract: Contract
    final: bool
    now_ns: int

    @cached_property
    def latest(self) -> Observation | None:
        """The newest observation; None before the first."""
        return self.history.observations[-1] if self.history.observations else None

    @cached_property
    def readable(self) -> bool:
        """Say whether the newest observation could read the queue; if not, rows are unknown."""
        return self.latest is not None and self.latest.tasks is not None

    def transitions(self, task_type: int) -> tuple[BreakerTransition, ...]:
        """Return the changes of state of a task type's circuit breaker, oldest first."""
        seen = self.latest.transitions if self.latest is not None else ()
        return tuple(each for each in seen if each.task_type == TASK_TYPES[task_type])

    @cached_property
    def tasks(self) -> tuple[TaskView, ...]:
        """All tasks that the run asked for, the canary too, in the order of their creation."""
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

    def last_component_start_ns(self, before_ns: int) -> int:
        """Return when an observation up to `before_ns` last showed a component newly up; 0 if none.

        Components that are up in the first observation do not count.
        """
        seen = [o for o in self.history.observations if o.at_ns <= before_ns]
        started = (
            after.at_ns
            for before, after in pairwise(seen)
            if set(after.components_up) - set(before.components_up)
        )
        return max(started, default=0)

    def end_ns(self, execution: Execution) -> int:
        """Return when an execution ended: by the ledger, else its process's exit, else now."""
        if execution.end_ns is not None:
            return execution.end_ns
        exits = (e.at_ns for e in self.history.exits if e.pid == execution.pid)
        return min(exits, default=self.now_ns)

    def excused(self, execution: Execution, *, declared: bool = True) -> Answer:
        """Return the excuse for another execution of the same task, if there is one.

        The excuses are those of `unheard_end`. Nothing excuses a second execution if the target
        promises at most one.
        """
        if self.contract.guarantee is Guarantee.AT_MOST_ONCE:
            return self._unheard_end(execution, "the contract promises at most one execution")
        return self.unheard_end(execution, declared=declared)

    def unheard_end(self, execution: Execution, *, declared: bool = True) -> Answer:
        """Return the excuse for a queue that did not learn how an execution ended, if there is one.

        It is a fault of the execution's worker or of the database, in force between the start and
        the end plus the acknowledgement grace; or an exit of the worker in that time, unless the
        contract forbids workers to exit. Pass as `declared` the field of the contract that admits
        what was found; if it is false, nothing excuses.
        """
        return self._unheard_end(
            execution, "" if declared else "the contract forbids it even after a fault"
        )

    def _unheard_end(self, execution: Execution, forbidden: str) -> Answer:
        window = self._acknowledgement_window(execution)
        answer = self._ask(Effect.UNHEARD_END, window, forbidden)
        if answer or forbidden or self.contract.worker_exit is WorkerExit.BROKEN:
            return answer
        for gone in self.history.exits:
            in_time = window.began_ns <= gone.at_ns <= window.ended_ns
            if gone.component == execution.component and in_time:
                return Excuse(
                    words=f"{gone.component} exited with code {gone.exit_code}",
                    why="the contract does not forbid workers to exit",
                    component=gone.component,
                )
        return answer

    def killed_before_acknowledging(self, execution: Execution) -> bool:
        """Say whether its worker was killed between its start and the due acknowledgement.

        The acknowledgement is due at the execution's end plus the grace of the contract. A killed
        worker renews no lease, so the machine's slowness did not cost it the lease: a finding is
        `certain` in spite of a slow machine.
        """
        window = self._acknowledgement_window(execution)
        return any(
            fault.kind is FaultKind.KILLED
            and fault.component == execution.component
            and window.began_ns <= fault.began_ns <= window.ended_ns
            for fault in self.history.faults
        )

    def late_start(self, task: TaskView, *executions: Execution) -> Answer:
        """Return the excuse for executions that may have started after their lease ran out.

        It is a fault of the worker or the database that was in force for at least a lease between
        the creation of the task and the start. Kills and stops do not count, and nothing excuses
        unless the contract declares late starts. Pass both executions of a pair: two executions
        may overlap or repeat if either began after its lease may have run out. Without an excuse
        the answer is that for the last execution.
        """
        forbidden = (
            "" if self.contract.late_start_is_declared else "the contract declares no late start"
        )
        answers = [
            self._ask(Effect.LATE_START, _until_start(task, execution), forbidden)
            for execution in executions
        ]
        return next((answer for answer in answers if answer), answers[-1])

    def excused_runs(self) -> tuple[ExcusedRun, ...]:
        """Return the executions that repeat an execution which did not fail, each with its excuse.

        Repeats of a task for which a client asked a retry, and repeats without an excuse, are left
        out.
        """
        found = []
        for task in self.tasks:
            ordered = sorted(task.executions, key=lambda e: (e.task_id, e.start_ns))
            for first, second in pairwise(ordered):
                failed = first.result is not None and not first.finished
                if first.task_id != second.task_id or failed or task.tried(OperationKind.RETRY):
                    continue
                answer = self.excused(first) or self.late_start(task, first, second)
                if isinstance(answer, Excuse):
                    found.append(
                        ExcusedRun(
                            task=task.number,
                            component=second.component,
                            at_ns=second.start_ns,
                            excuse=answer,
                        )
                    )
        return tuple(found)

    def may_lose(self, task: TaskView) -> Answer:
        """Return the excuse for a target that gives a task up, if there is one.

        It is any fault since the creation. Nothing excuses unless the target promises at most one
        execution.
        """
        forbidden = (
            ""
            if self.contract.guarantee is Guarantee.AT_MOST_ONCE
            else "the contract promises that every task is executed"
        )
        window = Window(
            began_ns=task.creation.sent_ns,
            ended_ns=self.now_ns,
            began="the creation of the task",
            ended="now",
        )
        return self._ask(Effect.TASK_GIVEN_UP, window, forbidden)

    def disturbed(self, start_ns: int, end_ns: int, *, began: str, ended: str) -> Answer:
        """Return the excuse that a fault of any component was in force in an interval, if one was.

        `began` and `ended` say what happened at the bounds of the interval: a message says that a
        fault "ended 300 ms before {began}".
        """
        window = Window(began_ns=start_ns, ended_ns=end_ns, began=began, ended=ended)
        return self._ask(Effect.DISTURBANCE, window)

    def answer_held_back(self, sent_ns: int, ended_ns: int) -> Answer:
        """Return the excuse for a request without an answer, if there is one.

        It is a fault of the client's own connection between sending and the end of waiting.
        """
        window = Window(
            began_ns=sent_ns,
            ended_ns=ended_ns,
            began="the request was sent",
            ended="waiting for its answer ended",
            component=CLIENT,
        )
        return self._ask(Effect.ANSWER_HELD_BACK, window)

    def held_up(self, task: TaskView, execution: Execution) -> Answer:
        """Return the excuse for a task that its worker started after one of lower priority.

        It is a fault of the worker, or an outage of the database, between the creation of the task
        and the start of `execution`.
        """
        return self._ask(Effect.WAITING_TASK_HELD_UP, _until_start(task, execution))

    def exit_excused(self, gone: ProcessExit) -> Answer:
        """Return the excuse for an exit that no step ordered, if there is one.

        It is an outage of the database or a cut connection of the component, at any time of the
        run. Nothing excuses unless the contract says that a worker may end without its database.
        """
        lenient = self.contract.worker_exit is WorkerExit.WITHOUT_DATABASE
        window = Window(
            began_ns=-_ALWAYS_NS,
            ended_ns=_ALWAYS_NS,
            began="the run",
            ended="now",
            component=gone.component,
        )
        return self._ask(
            Effect.EXIT, window, "" if lenient else "the contract forbids workers to exit"
        )

    def faults(self, start_ns: int, end_ns: int) -> tuple[Fault, ...]:
        """Return the faults that were in force at some time of the interval."""
        return tuple(f for f in self.history.faults if f.touches(start_ns, end_ns))

    def machine_stalled(self, start_ns: int, end_ns: int) -> bool:
        """Say whether this machine stood still for 200 ms or more at some time of the interval.

        Then lateness proves nothing against the target, and the finding is not `certain`.
        """
        return any(began <= end_ns and ended >= start_ns for began, ended in self.history.stalls)

    def machine_may_cost_lease_between(self, first: Execution, second: Execution) -> bool:
        """Say whether a slow machine may have cost the first execution its lease.

        That is so if `machine_may_cost_lease` at the start of the second, and the second started a
        quarter of a lease or more after the first; no lease runs out sooner.
        """
        quarter_ns = self.contract.lease_ms * 10**6 // 4
        in_time = second.start_ns - first.start_ns >= quarter_ns
        return in_time and self.machine_may_cost_lease(second.start_ns)

    def machine_may_cost_lease(self, at_ns: int) -> bool:
        """Say whether a slow machine may have cost any worker the lease that it held at an instant.

        That is so if, within two leases before, the machine stood still, or `processor_wait_ns` is
        a quarter of a lease or more.
        """
        quarter_ns = self.contract.lease_ms * 10**6 // 4
        since_ns = at_ns - 8 * quarter_ns
        waited_ns = self.processor_wait_ns(since_ns, at_ns)
        return waited_ns >= quarter_ns or self.machine_stalled(since_ns, at_ns)

    def processor_wait_ns(self, start_ns: int, end_ns: int) -> int:
        """Return by how many ns the machine delayed threads in the interval, by measurement.

        The figures add how long an idle thread of the harness waited for a processor, and half of
        the time in which too many threads were runnable. There is a figure each 0.1 s; the
        interval is widened to the nearest ones. 0 if there are no figures.
        """
        before = [late for at_ns, late in self.history.lateness if at_ns <= start_ns]
        after = [late for at_ns, late in self.history.lateness if at_ns >= end_ns]
        known = self.history.lateness
        if not known:
            return 0
        first = before[-1] if before else known[0][1]
        return (after[0] if after else known[-1][1]) - first

    def _acknowledgement_window(self, execution: Execution) -> Window:
        """Return the time from an execution's start until its acknowledgement is due."""
        grace_ms = self.contract.acknowledgement_grace_ms
        return Window(
            began_ns=execution.start_ns,
            ended_ns=self.end_ns(execution) + grace_ms * 10**6,
            began=f"{execution.component} started the task",
            ended=f"the acknowledgement was due, {grace_ms} ms after the end of the task",
            component=execution.component,
        )

    def _ask(self, effect: Effect, window: Window, forbidden: str = "") -> Answer:
        return find_excuse(
            effect,
            self.history.faults,
            window,
            lease_ns=self.contract.lease_ms * 10**6,
            now_ns=self.now_ns,
            forbidden=forbidden,
        )


def _until_start(task: TaskView, execution: Execution) -> Window:
    return Window(
        began_ns=task.creation.sent_ns,
        ended_ns=execution.start_ns,
        began="the creation of the task",
        ended=f"{execution.component} started the task",
        component=execution.component,
    )
