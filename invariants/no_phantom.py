from collections.abc import Iterator

from chaosfuzz.domain import (
    Finding,
    Kind,
    OperationKind,
    Outcome,
    TaskStatus,
    View,
    invariant,
)


@invariant(kind=Kind.PHANTOM)
def no_phantom(view: View) -> Iterator[Finding]:
    """A refused task does not run, and a confirmed cancel holds."""
    for task in view.tasks:
        if task.creation.outcome is Outcome.FAILED and task.executions:
            message = f"task {task.number} was refused and ran all the same"
            yield Finding(message=message, tasks=(task.number,))
        for cancel in task.confirmed(OperationKind.CANCEL):
            if task.tried(OperationKind.RETRY):
                continue
            statuses = [state.status for state in task.states]
            if statuses and TaskStatus.CANCELLED not in statuses:
                message = f"task {task.number} was cancelled, says the API; it is {statuses[0]}"
                yield Finding(message=message, tasks=(task.number,), role="server")
            for execution in task.executions:
                # A worker that claimed the task before the cancel may start it just after.
                claimed_before = any(execution.attempt <= s.attempts for s in task.states)
                late = execution.start_ns > cancel.ended_ns and not claimed_before
                excuse = view.disturbed(
                    task.creation.sent_ns,
                    execution.start_ns,
                    began="the creation of the task",
                    ended=f"{execution.component} started the task",
                )
                if late and not excuse:
                    message = f"task {task.number} was cancelled and started later{excuse.note}"
                    stalled = view.machine_stalled(task.creation.sent_ns, execution.start_ns)
                    yield Finding(message=message, tasks=(task.number,), certain=not stalled)
