from collections.abc import Iterator

from chaosfuzz.domain import Finding, Guarantee, Kind, TaskStatus, View, invariant


@invariant(kind=Kind.FALSE_COMPLETION)
def no_false_completion(view: View) -> Iterator[Finding]:
    """A task is completed only by the worker that holds its lease and finished it."""
    # A target that promises at most one execution may acknowledge a task before it starts it.
    early = view.contract.guarantee is Guarantee.AT_MOST_ONCE and not view.final
    for task in view.tasks if not early else ():
        if view.may_lose(task):
            continue
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
