from collections.abc import Iterator

from chaosfuzz.domain import Finding, Kind, TaskStatus, View, invariant

# The index of the strategy that asks for no retry (`strategy` of create_tasks).
NO_RETRY = 3


@invariant(kind=Kind.GAVE_UP)
def retries_are_used(view: View) -> Iterator[Finding]:
    """A task fails for good only after all of its attempts."""
    for task in view.tasks:
        state, allowed = task.state, task.request.max_attempts
        if state is None or state.status is not TaskStatus.FAILED:
            continue
        if task.request.strategy != NO_RETRY and state.attempts < allowed:
            message = (
                f"task {task.number} failed for good after {state.attempts} of {allowed} attempts"
            )
            yield Finding(message=message, tasks=(task.number,))
