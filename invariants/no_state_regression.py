from collections.abc import Iterator
from itertools import pairwise

from chaosfuzz.domain import Finding, Kind, OperationKind, View, invariant


@invariant(kind=Kind.STATE_REGRESSION)
def no_state_regression(view: View) -> Iterator[Finding]:
    """Terminal states stay, attempts and leases never fall, no attempt is above the maximum.

    Tasks for which a client asked a retry are left out.
    """
    for task in view.tasks:
        if task.tried(OperationKind.RETRY):
            continue
        for before, after in pairwise(task.seen):
            if before.task_id != after.task_id:
                continue
            if before.status.terminal and after.status is not before.status:
                message = f"task {task.number} went from {before.status} to {after.status}"
                yield Finding(message=message, tasks=(task.number,))
            if after.attempts < before.attempts:
                message = (
                    f"attempts of task {task.number} fell: {before.attempts} to {after.attempts}"
                )
                yield Finding(message=message, tasks=(task.number,))
            if after.fence < before.fence:
                message = (
                    f"lease {after.fence} of task {task.number} is back in force after lease "
                    f"{before.fence}: its holder's result will be refused"
                )
                yield Finding(message=message, tasks=(task.number,))
        allowed = task.request.max_attempts
        # The queue need not count an execution that a fault cut short as an attempt.
        ran = sum(not view.excused(e) for e in task.executions)
        tries = max((s.attempts for s in task.seen), default=0)
        if len({e.task_id for e in task.executions}) > 1:
            ran = 0
        most = max(ran, tries)
        if allowed and most > allowed:
            message = f"task {task.number} was tried {most} times, its maximum is {allowed}"
            yield Finding(message=message, tasks=(task.number,))
        if view.readable and task.acknowledged and task.executions and not task.states:
            message = f"task {task.number} ran and its row has disappeared"
            yield Finding(message=message, tasks=(task.number,))
