from collections.abc import Iterator
from itertools import combinations

from chaosfuzz.domain import Finding, Kind, View, invariant


@invariant(kind=Kind.OVERLAP)
def no_overlap(view: View) -> Iterator[Finding]:
    """No task runs twice at the same time, unless a fault took its first worker away."""
    for task in view.tasks:
        ordered = sorted(task.executions, key=lambda e: e.start_ns)
        for first, second in combinations(ordered, 2):
            declared = view.contract.overlap_after_pause_is_declared and view.excused(first)
            together = first.task_id == second.task_id and second.start_ns < view.end_ns(first)
            declared = declared or view.started_late(task, first, second)
            if together and not declared:
                message = (
                    f"task {task.number} ran on {first.component} (attempt {first.attempt}) and "
                    f"on {second.component} (attempt {second.attempt}) at the same time"
                )
                stalled = view.stalled(first.start_ns, second.start_ns)
                certain = not stalled and not view.may_have_lost_lease(first, second)
                yield Finding(message=message, tasks=(task.number,), certain=certain)
