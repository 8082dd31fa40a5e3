from collections.abc import Iterator
from statistics import median

from chaosfuzz.domain import Finding, Kind, TaskView, View, invariant

# A wait of 20 times the usual one is a degradation, but none of less than 1.5 s. Chosen by hand.
FACTOR = 20
FLOOR_NS = 1_500_000_000


def _latency_ns(view: View, task: TaskView) -> int:
    """Return how long a task waited for its start while every component was up."""
    begun_ns = min(e.start_ns for e in task.executions)
    return begun_ns - max(task.creation.ended_ns, view.last_component_start_ns(begun_ns))


@invariant(kind=Kind.DEGRADED, at_end=True)
def no_degradation(view: View) -> Iterator[Finding]:
    """After healing, a new task starts about as soon as tasks did before the first fault."""
    first_fault_ns = min((f.began_ns for f in view.history.faults), default=None)
    healed_ns = view.history.healed_ns
    if first_fault_ns is None or healed_ns is None:
        return
    started = [t for t in view.tasks if t.executions and not t.request.delay_ms]
    before = [
        _latency_ns(view, t)
        for t in started
        if min(e.start_ns for e in t.executions) < first_fault_ns
    ]
    for task in started:
        if task.creation.sent_ns < healed_ns:
            continue
        usual_ns = int(median(before)) if before else 0
        bound_ns = max(FLOOR_NS, view.contract.pickup_ms * 10**6, FACTOR * usual_ns)
        waited_ns = _latency_ns(view, task)
        if waited_ns > bound_ns:
            message = (
                f"after healing, {task.request.name} started after {waited_ns // 10**6} ms; "
                f"the bound is {bound_ns // 10**6} ms"
            )
            stalled = view.machine_stalled(healed_ns, view.now_ns)
            yield Finding(message=message, tasks=(task.number,), certain=not stalled)
