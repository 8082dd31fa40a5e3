from collections.abc import Iterator

from chaosfuzz.domain import Finding, Kind, OperationKind, Outcome, TaskStatus, View, invariant


@invariant(kind=Kind.PHANTOM)
def no_phantom(view: View) -> Iterator[Finding]:
    """Nothing runs that was refused, and a confirmed cancel holds."""
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
                # A claim granted before the cancel may write its start just after it.
                claimed_before = any(execution.attempt <= s.attempts for s in task.states)
                late = execution.start_ns > cancel.ended_ns and not claimed_before
                if late and not view.faults(task.creation.sent_ns, execution.start_ns):
                    message = f"task {task.number} was cancelled and started later"
                    stalled = view.stalled(task.creation.sent_ns, execution.start_ns)
                    yield Finding(message=message, tasks=(task.number,), certain=not stalled)
