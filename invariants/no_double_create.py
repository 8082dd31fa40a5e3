from collections.abc import Iterator

from chaosfuzz.domain import Finding, Kind, View, invariant


@invariant(kind=Kind.DOUBLE_CREATE)
def no_double_create(view: View) -> Iterator[Finding]:
    """One creation makes one task, even if the client sends its request again with the same key."""
    for task in view.tasks:
        ids = {s.task_id for s in task.states} | {e.task_id for e in task.executions}
        if len(ids) > 1:
            message = f"creation {task.number} made {len(ids)} tasks"
            yield Finding(message=message, tasks=(task.number,), role="server")
