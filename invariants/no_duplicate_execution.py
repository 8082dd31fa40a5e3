from collections.abc import Iterator
from itertools import pairwise

from chaosfuzz.domain import Finding, Guarantee, Kind, OperationKind, View, invariant


@invariant(kind=Kind.RERUN)
def no_duplicate_execution(view: View) -> Iterator[Finding]:
    """A task that finished is not run again, unless a fault hid its end from the queue."""
    for task in view.tasks:
        ordered = sorted(task.executions, key=lambda e: (e.task_id, e.start_ns))
        for first, second in pairwise(ordered):
            excused = view.excused(first) or task.tried(OperationKind.RETRY)
            excused = excused or view.started_late(task, first, second)
            later = first.task_id == second.task_id and second.start_ns >= view.end_ns(first)
            if first.finished and later and not excused:
                why = "with no fault to justify it"
                if view.contract.guarantee is Guarantee.AT_MOST_ONCE:
                    why = "and was promised to run once at most"
                message = (
                    f"task {task.number} finished on {first.component} and ran again on "
                    f"{second.component}, {why}"
                )
                stalled = view.stalled(first.start_ns, second.start_ns)
                slow = stalled or view.may_have_lost_lease(first, second)
                certain = view.was_killed(first) or not slow
                yield Finding(message=message, tasks=(task.number,), certain=certain)
