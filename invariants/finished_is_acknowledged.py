from collections.abc import Iterator

from chaosfuzz.domain import Finding, Kind, View, invariant


@invariant(kind=Kind.FINISHED_UNACKED, at_end=True)
def finished_is_acknowledged(view: View) -> Iterator[Finding]:
    """A task that finished by the ledger reaches a terminal state in the queue."""
    bound_ns = view.contract.recovery_ms * 10**6
    last_ns = max((view.end_ns(e) for e in view.history.executions), default=view.now_ns)
    healed_ns = view.history.healed_ns or view.now_ns
    waited = view.now_ns - max(last_ns, healed_ns) >= bound_ns
    for task in view.tasks if view.readable else ():
        state = task.state
        is_open = task.finished and state and not state.status.terminal
        if is_open and state and not view.may_lose(task):
            message = f"task {task.number} finished by the ledger, the queue says {state.status}"
            certain = waited and not view.machine_stalled(healed_ns, view.now_ns)
            yield Finding(message=message, tasks=(task.number,), certain=certain)
