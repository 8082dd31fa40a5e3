from collections.abc import Iterator
from itertools import permutations

from chaosfuzz.domain import FaultKind, Finding, Kind, TaskStatus, View, invariant

CLAIM_MS = 100


@invariant(kind=Kind.ORDER)
def priority_is_kept(view: View) -> Iterator[Finding]:
    """One worker does not start a lower task while a higher one waits beside it.

    Only first executions by the same process are compared, without faults in between: claims
    of one worker are in order, those of two are not. Both tasks must have been seen waiting for
    longer than a claim takes, which may have begun before the higher one was there, and then the
    higher one alone: what a worker claims with one statement it may start in any order.
    """
    plain = [t for t in view.tasks if t.acknowledged and not t.request.delay_ms and t.executions]
    for high, low in permutations(plain if view.contract.priorities else (), 2):
        first = min(high.executions, key=lambda e: e.start_ns)
        other = min(low.executions, key=lambda e: e.start_ns)
        if (
            high.request.priority > low.request.priority
            # Those of another type may have to wait for their circuit breaker.
            and high.request.task_type == low.request.task_type
            and high.creation.ended_ns < other.start_ns < first.start_ns
            and first.attempt == other.attempt == 1
            and first.pid == other.pid
            and not any(
                f.kind is FaultKind.DATABASE_DOWN or f.component == first.component
                for f in view.faults(high.creation.sent_ns, first.start_ns)
            )
            and _was_overtaken(view, high.request.token, low.request.token, first.start_ns)
        ):
            message = (
                f"{first.component} started task {low.number} before task {high.number}, "
                f"which has a higher priority and was ready"
            )
            yield Finding(message=message, tasks=(low.number, high.number))


def _was_overtaken(view: View, high: str, low: str, started_ns: int) -> bool:
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
