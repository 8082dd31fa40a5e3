from collections.abc import Iterator

from chaosfuzz.domain import Finding, Kind, TaskStatus, TaskView, View, invariant


@invariant(kind=Kind.GAVE_UP)
def buried_tasks_have_run(view: View) -> Iterator[Finding]:
    """A task does not fail for good without one execution, unless a fault was in force."""
    for task in view.tasks:
        state = task.state
        if state is None or state.status is not TaskStatus.FAILED or task.executions:
            continue
        buried_ns = _buried_ns(view, task)
        excuse = view.disturbed(
            task.creation.sent_ns,
            buried_ns,
            began="the creation of the task",
            ended="the task had failed for good",
        )
        if not excuse:
            message = (
                f"task {task.number} failed for good after {state.attempts} attempts, without one "
                f"execution: {state.last_error}{excuse.note}"
            )
            stalled = view.machine_stalled(task.creation.sent_ns, buried_ns)
            yield Finding(message=message, tasks=(task.number,), certain=not stalled)


def _buried_ns(view: View, task: TaskView) -> int:
    """Return when an observation first showed a task as failed for good."""
    for seen in view.history.observations:
        for state in seen.tasks or ():
            if state.token == task.request.token and state.status is TaskStatus.FAILED:
                return seen.at_ns
    return view.now_ns
