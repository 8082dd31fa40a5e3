from collections.abc import Iterator

from chaosfuzz.domain import Finding, Kind, TaskStatus, View, invariant


@invariant(kind=Kind.FALSE_COMPLETION)
def no_false_completion(view: View) -> Iterator[Finding]:
    """A task is called completed only by the worker that holds it and has finished it."""
    for task in view.tasks:
        for state in task.states:
            if state.status is not TaskStatus.COMPLETED:
                continue
            if not task.finished:
                message = f"task {task.number} is called completed; no execution of it finished"
                yield Finding(message=message, tasks=(task.number,))
            elif state.completed_fence is not None and state.completed_fence != state.fence:
                message = (
                    f"task {task.number} was completed under lease {state.completed_fence} while "
                    f"lease {state.fence} was in force: a stale worker's result counted"
                )
                yield Finding(message=message, tasks=(task.number,))
