"""Waits: for a time, for the end of all work, or for leases to expire."""

from collections.abc import Iterator

from chaosfuzz.actions.action import Action, milliseconds
from chaosfuzz.actions.context import DONE, ActionContext
from chaosfuzz.actions.plan import PlanModel
from chaosfuzz.actions.registry import register
from chaosfuzz.domain.action import Role
from chaosfuzz.domain.fault import Performed
from chaosfuzz.domain.history import FaultKind
from chaosfuzz.domain.outcome import Outcome
from chaosfuzz.domain.progress import all_terminal
from chaosfuzz.domain.schedule import Schedule, Step

# A shorter wait is not replaced by a wait for an event, which would take longer. Chosen by hand.
LONG_WAIT_MS = 100


class Wait(Action):
    """Let time pass."""

    name = "wait"
    role = Role.WAIT
    weight = 2
    parameters = (milliseconds("milliseconds", low=1, default=50, drawn=(5, 20, 60, 150, 400)),)

    def plainer(self, schedule: Schedule, index: int, model: PlanModel) -> Iterator[Schedule]:
        """Yield the schedule with a wait for an event, which shows the reason of the wait."""
        if schedule.steps[index]["ms"] >= LONG_WAIT_MS:
            yield schedule.edited({index: wait_idle()})
            yield schedule.edited({index: wait_lease()})

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Observe until the time is over."""
        context.watch(lambda: False, step["ms"])
        return DONE


class WaitIdle(Action):
    """Wait until nothing is left to do.

    That is, until every task is completed, cancelled or failed for good.
    """

    name = "wait_idle"
    role = Role.WAIT

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Wait until all tasks are terminal, but end after twice the patience without progress.

        Do nothing if no worker runs or the database is down.
        """
        system, history = context.system, context.history
        if history.fault_in_force(FaultKind.DATABASE_DOWN) or not system.worker_names():
            return Performed(applied=False, outcome=Outcome.FAILED, detail="no worker can work")
        idle = context.watch(
            lambda: all_terminal(history), 2 * system.contract.patience_ms, progress=True
        )
        return Performed(applied=True, detail="" if idle else "not idle in time")


class WaitLease(Action):
    """Wait until leases held now have expired.

    Another worker may then claim a task that runs now.
    """

    name = "wait_lease"
    role = Role.WAIT
    urgent_weight = 4

    def weight_after(self, before: Step | None, model: PlanModel) -> int:
        """Prefer to wait right after a worker was frozen or killed; never wait twice in a row."""
        if before is not None and before.kind is self:
            return 0
        stopped = before is not None and before.action in _LEAVE_A_LEASE
        return self.urgent_weight if stopped and model.workers_up else self.weight

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Wait 1.5 times the patience, or until a task that runs now is executed again.

        Do nothing if no task runs.
        """
        history = context.history
        running = {e.task_id for e in history.executions if e.end_ns is None}
        known = len(history.executions)
        if not running:
            return Performed(applied=False, outcome=Outcome.FAILED, detail="no lease is held")

        def taken_over() -> bool:
            return any(e.task_id in running for e in history.executions[known:])

        patience_ms = context.system.contract.patience_ms
        context.watch(taken_over, patience_ms + patience_ms // 2)
        return DONE


_LEAVE_A_LEASE = frozenset({"pause_worker", "kill_worker"})

wait = register(Wait())
wait_idle = register(WaitIdle())
wait_lease = register(WaitLease())
