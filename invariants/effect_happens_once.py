from collections.abc import Iterator

from chaosfuzz.domain import Finding, Kind, TaskStatus, View, invariant


@invariant(kind=Kind.RERUN)
def effect_happens_once(view: View) -> Iterator[Finding]:
    """A completed task has exactly one effect, a failed or cancelled one none, others never two.

    An effect seen just ahead of its completion is no harm yet; that it happens again is.
    """
    for task in view.tasks:
        for state in task.states:
            least = 1 if state.status is TaskStatus.COMPLETED else 0
            most = least if state.status.terminal else 1
            if state.effects is not None and not least <= state.effects <= most:
                message = f"task {task.number} is {state.status} and has {state.effects} effects"
                yield Finding(message=message, tasks=(task.number,))
