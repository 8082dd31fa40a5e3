from collections.abc import Iterator

from chaosfuzz.domain import Finding, Kind, View, invariant


@invariant(kind=Kind.LOST)
def no_lost_tasks(view: View) -> Iterator[Finding]:
    """An accepted task is somewhere: executed, terminal, or in the queue."""
    for task in view.tasks if view.readable else ():
        nowhere = task.acknowledged and not task.states and not task.executions
        if nowhere and not view.may_lose(task):
            message = f"task {task.number} was accepted and is nowhere"
            yield Finding(message=message, tasks=(task.number,), role="server")
