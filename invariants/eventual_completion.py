from collections.abc import Iterator

from chaosfuzz.domain import Finding, Kind, View, invariant


@invariant(kind=Kind.STUCK, at_end=True)
def eventual_completion(view: View) -> Iterator[Finding]:
    """After healing, every accepted task reaches a terminal state within the recovery bound."""
    for task in view.tasks if view.readable else ():
        state = task.state
        if task.acknowledged and state and not state.status.terminal and not task.finished:
            message = (
                f"task {task.number} is still {state.status} (attempt {state.attempts}) after "
                f"{view.contract.recovery_ms} ms in which nothing moved, all faults healed"
            )
            stalled = view.stalled(view.history.healed_ns or view.now_ns, view.now_ns)
            yield Finding(message=message, tasks=(task.number,), certain=not stalled)
