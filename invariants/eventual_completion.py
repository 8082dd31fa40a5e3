from collections.abc import Iterator

from chaosfuzz.domain import Finding, Kind, View, in_attempt, invariant


@invariant(kind=Kind.STUCK, at_end=True)
def eventual_completion(view: View) -> Iterator[Finding]:
    """After healing, every accepted task reaches a terminal state within the recovery bound."""
    bound_ms = view.contract.recovery_ms
    quiet_ns = view.now_ns - _last_progress_ns(view)
    for task in view.tasks if view.readable else ():
        state = task.state
        is_open = task.acknowledged and state and not state.status.terminal
        if is_open and state and not task.finished and not view.may_lose(task):
            stalled = view.machine_stalled(view.history.healed_ns or view.now_ns, view.now_ns)
            certain = quiet_ns >= bound_ms * 10**6 and not stalled
            what = f"{task.request.name} is still {state.status}{in_attempt(state.attempts)}"
            message = (
                f"{what} after {bound_ms} ms in which nothing moved, all faults healed"
                if certain
                else f"{what}; something moved, or the machine stood still, within {bound_ms} ms"
            )
            yield Finding(message=message, tasks=(task.number,), certain=certain)


def _last_progress_ns(view: View) -> int:
    """Return the last instant of progress.

    That is the latest of: the end of an execution (by its planned duration if it runs longer), a
    task's due time, the start of a component, healing.
    """
    due = (t.creation.sent_ns + t.request.delay_ms * 10**6 for t in view.tasks)
    worked = (
        min(view.end_ns(e), e.start_ns + t.request.duration_ms * 10**6)
        for t in view.tasks
        for e in t.executions
    )
    up_ns = view.last_component_start_ns(view.now_ns)
    return max((*due, *worked, up_ns, view.history.healed_ns or 0))
