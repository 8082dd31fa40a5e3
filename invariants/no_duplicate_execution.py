from collections.abc import Iterator
from itertools import pairwise

from chaosfuzz.domain import Finding, Guarantee, Kind, OperationKind, View, invariant


@invariant(kind=Kind.RERUN)
def no_duplicate_execution(view: View) -> Iterator[Finding]:
    """A finished task does not run again, unless a fault hid its end from the queue."""
    for task in view.tasks:
        ordered = sorted(task.executions, key=lambda e: (e.task_id, e.start_ns))
        for first, second in pairwise(ordered):
            later = first.task_id == second.task_id and second.start_ns >= view.end_ns(first)
            if not (first.finished and later) or task.tried(OperationKind.RETRY):
                continue
            excuse = view.excused(first)
            if not excuse and not view.late_start(task, first, second):
                why = f"with no fault to justify it{excuse.note}"
                if view.contract.guarantee is Guarantee.AT_MOST_ONCE:
                    why = "and was promised to run once at most"
                message = (
                    f"task {task.number} finished on {first.component} and ran again on "
                    f"{second.component}, {why}"
                )
                stalled = view.machine_stalled(first.start_ns, second.start_ns)
                slow = stalled or view.machine_may_cost_lease_between(first, second)
                certain = view.killed_before_acknowledging(first) or not slow
                yield Finding(message=message, tasks=(task.number,), certain=certain)
