from collections.abc import Iterator

from chaosfuzz.domain import Finding, Kind, View, invariant


@invariant(kind=Kind.STUCK, at_end=True)
def eventual_completion(view: View) -> Iterator[Finding]:
    """After healing, every accepted task reaches a terminal state within the recovery bound."""
    bound_ms = view.contract.recovery_ms
    still_ns = view.now_ns - _last_move_ns(view)
    for task in view.tasks if view.readable else ():
        state = task.state
        is_open = task.acknowledged and state and not state.status.terminal
        if is_open and state and not task.finished and not view.may_lose(task):
            stalled = view.stalled(view.history.healed_ns or view.now_ns, view.now_ns)
            certain = still_ns >= bound_ms * 10**6 and not stalled
            what = f"task {task.number} is still {state.status} (attempt {state.attempts})"
            message = (
                f"{what} after {bound_ms} ms in which nothing moved, all faults healed"
                if certain
                else f"{what}; things moved, or the machine stood still, within {bound_ms} ms"
            )
            yield Finding(message=message, tasks=(task.number,), certain=certain)


def _last_move_ns(view: View) -> int:
    """When something was last at work, a task last became due, or somebody came up to do it."""
    due = (t.creation.sent_ns + t.request.delay_ms * 10**6 for t in view.tasks)
    worked = (
        min(view.end_ns(e), e.start_ns + t.request.duration_ms * 10**6)
        for t in view.tasks
        for e in t.executions
    )
    up_ns = view.came_up_ns(view.now_ns)
    return max((*due, *worked, up_ns, view.history.healed_ns or 0))
