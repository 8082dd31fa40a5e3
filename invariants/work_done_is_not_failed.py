from collections.abc import Iterator

from chaosfuzz.domain import (
    Execution,
    Finding,
    Kind,
    OperationKind,
    TaskStatus,
    TaskView,
    View,
    invariant,
)


@invariant(kind=Kind.GAVE_UP)
def work_done_is_not_failed(view: View) -> Iterator[Finding]:
    """A task whose last run finished does not end as failed, unless a fault hid its end."""
    lease_ns = view.contract.lease_ms * 10**6
    for task in view.tasks:
        state = task.state
        failed = state is not None and state.status is TaskStatus.FAILED
        if state is None or not failed or task.tried(OperationKind.RETRY):
            continue
        runs = [each for each in task.executions if each.task_id == state.task_id]
        last = max(runs, key=lambda each: each.start_ns, default=None)
        # Who works for longer than a lease may have been given up before the end.
        if last is None or not last.finished or view.end_ns(last) - last.start_ns >= lease_ns:
            continue
        if _hidden(view, last):
            continue
        message = (
            f"task {task.number} finished on {last.component} at attempt {last.attempt}, "
            "and ended as failed for good"
        )
        until_ns = view.end_ns(last) + lease_ns
        slow = view.late_ns(last.start_ns - lease_ns, until_ns) >= lease_ns // 4
        slow = slow or view.stalled(last.start_ns - lease_ns, until_ns)
        certain = not slow or view.was_killed(last) or _in_time(view, task, lease_ns)
        yield Finding(message=message, tasks=(task.number,), certain=certain)


def _in_time(view: View, task: TaskView, lease_ns: int) -> bool:
    """Say whether it failed so soon after its last claim that no lease can have run out."""
    claimed_ns, failed_ns = task.creation.sent_ns, view.now_ns
    for seen in view.history.observations:
        for state in seen.tasks or ():
            if state.token != task.request.token or task.state is None:
                continue
            if state.attempts < task.state.attempts:
                claimed_ns = seen.at_ns
            if state.status is TaskStatus.FAILED:
                failed_ns = min(failed_ns, seen.at_ns)
    return failed_ns - claimed_ns < lease_ns


def _hidden(view: View, execution: Execution) -> bool:
    """Say whether a fault may have hidden the end, and the contract leaves open what then is."""
    return view.contract.failed_after_finish_is_declared and view.struck(execution)
