from collections.abc import Iterator

from chaosfuzz.domain import Finding, Kind, TaskStatus, TaskView, View, invariant


@invariant(kind=Kind.GAVE_UP)
def buried_tasks_have_run(view: View) -> Iterator[Finding]:
    """A task that no fault touched is not buried without ever having been run."""
    for task in view.tasks:
        state = task.state
        if state is None or state.status is not TaskStatus.FAILED or task.executions:
            continue
        buried_ns = _buried_ns(view, task)
        if not view.faults(task.creation.sent_ns, buried_ns):
            message = (
                f"task {task.number} was buried after {state.attempts} attempts in which nobody "
                f"ran it: {state.last_error}"
            )
            stalled = view.stalled(task.creation.sent_ns, buried_ns)
            yield Finding(message=message, tasks=(task.number,), certain=not stalled)


def _buried_ns(view: View, task: TaskView) -> int:
    for seen in view.history.observations:
        for state in seen.tasks or ():
            if state.token == task.request.token and state.status is TaskStatus.FAILED:
                return seen.at_ns
    return view.now_ns
