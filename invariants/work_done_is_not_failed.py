from collections.abc import Iterator

from chaosfuzz.domain import (
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
    """A task whose last execution finished does not fail for good, unless a fault hid its end."""
    lease_ns = view.contract.lease_ms * 10**6
    for task in view.tasks:
        state = task.state
        failed = state is not None and state.status is TaskStatus.FAILED
        if state is None or not failed or task.tried(OperationKind.RETRY):
            continue
        runs = [each for each in task.executions if each.task_id == state.task_id]
        last = max(runs, key=lambda each: each.start_ns, default=None)
        # The queue may give a task up that runs for longer than a lease.
        if last is None or not last.finished or view.end_ns(last) - last.start_ns >= lease_ns:
            continue
        excuse = view.unheard_end(last, declared=view.contract.failed_after_finish_is_declared)
        if excuse:
            continue
        message = (
            f"task {task.number} finished on {last.component} at attempt {last.attempt}, "
            f"and ended as failed for good{excuse.note}"
        )
        until_ns = view.end_ns(last) + lease_ns
        slow = view.processor_wait_ns(last.start_ns - lease_ns, until_ns) >= lease_ns // 4
        slow = slow or view.machine_stalled(last.start_ns - lease_ns, until_ns)
        certain = not slow or view.killed_before_acknowledging(last)
        certain = certain or _failed_within_lease(view, task, lease_ns)
        yield Finding(message=message, tasks=(task.number,), certain=certain)


def _failed_within_lease(view: View, task: TaskView, lease_ns: int) -> bool:
    """Say whether a task failed within a lease after its last claim, so that no lease ran out."""
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
