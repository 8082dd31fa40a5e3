from collections.abc import Iterator
from itertools import permutations

from chaosfuzz.domain import Finding, Kind, View, invariant

READY_MARGIN_NS = 60_000_000


@invariant(kind=Kind.ORDER)
def priority_is_kept(view: View) -> Iterator[Finding]:
    """One worker does not start a lower task while a higher one has long been ready.

    Only first executions by the same process are compared, without faults in between: claims
    of one worker are in order, those of two are not.
    """
    plain = [t for t in view.tasks if t.acknowledged and not t.request.delay_ms and t.executions]
    for high, low in permutations(plain if view.contract.priorities else (), 2):
        if high.request.priority <= low.request.priority:
            continue
        first = min(high.executions, key=lambda e: e.start_ns)
        other = min(low.executions, key=lambda e: e.start_ns)
        ready_ns = high.creation.ended_ns + READY_MARGIN_NS
        comparable = first.attempt == other.attempt == 1 and first.pid == other.pid
        disturbed = any(
            fault.component in {first.component, "database"}
            for fault in view.faults(high.creation.sent_ns, first.start_ns)
        )
        if comparable and not disturbed and ready_ns < other.start_ns < first.start_ns:
            message = (
                f"{first.component} started task {low.number} before task {high.number}, "
                f"which has a higher priority and was ready"
            )
            stalled = view.stalled(high.creation.sent_ns, first.start_ns)
            yield Finding(message=message, tasks=(low.number, high.number), certain=not stalled)
