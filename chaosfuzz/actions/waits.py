"""Waiting: for a time, for the end of all work, or for leases to expire."""

from collections.abc import Iterator

from chaosfuzz.actions.action import Action
from chaosfuzz.actions.context import ActionContext
from chaosfuzz.actions.plan import PlanModel
from chaosfuzz.actions.registry import register
from chaosfuzz.domain.action import Parameter, Role
from chaosfuzz.domain.fault import Performed
from chaosfuzz.domain.history import FaultKind
from chaosfuzz.domain.outcome import Outcome
from chaosfuzz.domain.progress import all_terminal
from chaosfuzz.domain.schedule import Schedule, Step

# A shorter wait gives a component a moment; waiting for an event instead would take longer.
LONG_WAIT_MS = 100


class Wait(Action):
    """wait: nothing but time."""

    name = "wait"
    summary = "let time pass"
    role = Role.WAIT
    weight = 2
    parameters = (
        Parameter(
            name="ms",
            low=1,
            high=5000,
            default=50,
            meaning="milliseconds",
            drawn=(5, 20, 60, 150, 400),
            always_shown=True,
            costly=True,
        ),
    )

    def plainer(self, schedule: Schedule, index: int, model: PlanModel) -> Iterator[Schedule]:
        """Yield the schedule with a wait for an event, which says why one waits."""
        if schedule.steps[index]["ms"] >= LONG_WAIT_MS:
            yield schedule.edited({index: wait_idle()})
            yield schedule.edited({index: wait_lease()})

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Observe until the time is over."""
        context.watch(lambda: False, step["ms"])
        return Performed(applied=True)


class WaitIdle(Action):
    """wait_idle: every task is done, cancelled or given up."""

    name = "wait_idle"
    summary = "wait until nothing is left to do"
    role = Role.WAIT
    weight = 1

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Wait until all tasks are terminal, as long as there is progress and a worker."""
        system, history = context.system, context.history
        if history.fault_in_force(FaultKind.DATABASE_DOWN) or not system.worker_names():
            return Performed(applied=False, outcome=Outcome.FAILED, detail="nobody can work")
        idle = context.watch(
            lambda: all_terminal(history), 2 * system.contract.patience_ms, progress=True
        )
        return Performed(applied=True, detail="" if idle else "not idle in time")


class WaitLease(Action):
    """wait_lease: a task that runs now may be claimed by another worker afterwards."""

    name = "wait_lease"
    summary = "wait until leases held now have expired"
    role = Role.WAIT
    weight = 1
    urgent_weight = 4

    def weight_after(self, before: Step | None, model: PlanModel) -> int:
        """Prefer to wait once a worker is frozen or dead, and only once."""
        if before is None or before.kind is not self:
            stopped = before is not None and before.action in _LEAVE_A_LEASE
            return self.urgent_weight if stopped and model.workers_up else self.weight
        return 0

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Wait out the leases held now; end early once another worker runs one of the tasks."""
        history = context.history
        running = {e.task_id for e in history.executions if e.end_ns is None}
        known = len(history.executions)
        if not running:
            return Performed(applied=False, outcome=Outcome.FAILED, detail="no lease is held")

        def taken_over() -> bool:
            return any(e.task_id in running for e in history.executions[known:])

        patience_ms = context.system.contract.patience_ms
        context.watch(taken_over, patience_ms + patience_ms // 2)
        return Performed(applied=True)


_LEAVE_A_LEASE = frozenset({"pause_worker", "kill_worker"})

wait = register(Wait())
wait_idle = register(WaitIdle())
wait_lease = register(WaitLease())
