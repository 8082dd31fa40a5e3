from collections.abc import Iterator

from chaosfuzz.domain import Finding, Kind, View, invariant


@invariant(kind=Kind.FINISHED_UNACKED, at_end=True)
def finished_is_acknowledged(view: View) -> Iterator[Finding]:
    """Work that the ledger says is finished does not stay open in the queue."""
    for task in view.tasks if view.readable else ():
        state = task.state
        if task.finished and state and not state.status.terminal:
            message = f"task {task.number} finished by the ledger, the queue says {state.status}"
            yield Finding(message=message, tasks=(task.number,))
