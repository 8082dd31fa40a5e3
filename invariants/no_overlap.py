from collections.abc import Iterator
from itertools import combinations

from chaosfuzz.domain import Finding, Kind, View, in_attempt, invariant


@invariant(kind=Kind.OVERLAP)
def no_overlap(view: View) -> Iterator[Finding]:
    """No two executions of a task overlap, unless a fault cut the first worker off."""
    for task in view.tasks:
        ordered = sorted(task.executions, key=lambda e: e.start_ns)
        for first, second in combinations(ordered, 2):
            if first.task_id != second.task_id or second.start_ns >= view.end_ns(first):
                continue
            declared = view.contract.overlap_after_pause_is_declared
            excuse = view.excused(first, declared=declared)
            if not excuse and not view.late_start(task, first, second):
                message = (
                    f"task {task.number} ran on {first.component}{in_attempt(first.attempt)} and "
                    f"on {second.component}{in_attempt(second.attempt)} at the same time"
                    f"{excuse.note}"
                )
                stalled = view.machine_stalled(first.start_ns, second.start_ns)
                certain = not stalled and not view.machine_may_cost_lease_between(first, second)
                yield Finding(message=message, tasks=(task.number,), certain=certain)
