from collections.abc import Iterator

from chaosfuzz.domain import Finding, Kind, View, invariant


@invariant(kind=Kind.LOST)
def no_lost_tasks(view: View) -> Iterator[Finding]:
    """An accepted task has a row in the queue or an execution in the ledger."""
    for task in view.tasks if view.readable else ():
        nowhere = task.acknowledged and not task.states and not task.executions
        if nowhere and not view.may_lose(task):
            message = f"{task.request.name} was accepted and is nowhere"
            yield Finding(message=message, tasks=(task.number,), role="server")
