from collections.abc import Iterator
from itertools import permutations

from chaosfuzz.domain import Finding, Kind, TaskStatus, View, invariant

# Longer than a claim takes. Chosen by hand.
CLAIM_MS = 100


@invariant(kind=Kind.ORDER)
def priority_is_kept(view: View) -> Iterator[Finding]:
    """A worker does not start a task while a ready one of higher priority waits.

    Compares first executions by the same process alone, because two workers may start tasks in
    another order than they claimed them. Observations must have shown both tasks waiting for longer
    than a claim takes, because a claim may have begun before the task of higher priority was there.
    Then they must have shown that task waiting alone, because a worker may start the tasks of one
    claim in any order.
    """
    plain = [t for t in view.tasks if t.acknowledged and not t.request.delay_ms and t.executions]
    for high, low in permutations(plain if view.contract.priorities else (), 2):
        first = min(high.executions, key=lambda e: e.start_ns)
        other = min(low.executions, key=lambda e: e.start_ns)
        if (
            high.request.priority > low.request.priority
            # A task of another type may wait for its circuit breaker.
            and high.request.task_type == low.request.task_type
            and high.creation.ended_ns < other.start_ns < first.start_ns
            and first.attempt == other.attempt == 1
            and first.pid == other.pid
            and not view.held_up(high, first)
            and _was_overtaken(view, high.request.token, low.request.token, first.start_ns)
        ):
            message = (
                f"{first.component} started task {low.number} before task {high.number}, "
                f"which has a higher priority and was ready"
            )
            yield Finding(message=message, tasks=(low.number, high.number))


def _was_overtaken(view: View, high: str, low: str, started_ns: int) -> bool:
    """Say whether both tokens were seen waiting for longer than a claim, then `high` alone."""
    together_ns: int | None = None
    for seen in view.history.observations:
        if seen.tasks is None:
            continue
        if seen.at_ns >= started_ns:
            break
        waiting = {s.token for s in seen.tasks if s.status is TaskStatus.PENDING}
        if {high, low} <= waiting and together_ns is None:
            together_ns = seen.at_ns
        elif together_ns is not None and high in waiting and low not in waiting:
            return seen.at_ns - together_ns >= CLAIM_MS * 10**6
    return False
