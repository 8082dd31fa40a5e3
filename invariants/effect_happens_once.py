from collections.abc import Iterator

from chaosfuzz.domain import Finding, Kind, TaskStatus, View, invariant


@invariant(kind=Kind.RERUN)
def effect_happens_once(view: View) -> Iterator[Finding]:
    """A completed task has exactly one effect, another none, if effects commit with completion."""
    for task in view.tasks:
        for state in task.states:
            wanted = 1 if state.status is TaskStatus.COMPLETED else 0
            if state.effects is not None and state.effects != wanted:
                message = f"task {task.number} is {state.status} and has {state.effects} effects"
                yield Finding(message=message, tasks=(task.number,))
