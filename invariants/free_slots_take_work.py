from collections.abc import Iterator
from statistics import median

from chaosfuzz.domain import Finding, Kind, OperationKind, TaskView, View, invariant

FACTOR = 25
# Server, database, wire and worker take some twenty turns to bring a task from its creation to its
# start; the thread that measures lateness takes fifty a second, so the half of what it measures
# would be the delay to expect. Ten times that is not to be argued with.
TURNS = 5


@invariant(kind=Kind.DEGRADED, at_end=True)
def free_slots_take_work(view: View) -> Iterator[Finding]:
    """A ready task does not wait beside a healthy worker that has room for it."""
    slots = view.contract.slots_per_worker
    if slots is None or view.latest is None or not view.readable:
        return
    bound_ns = _bound_ns(view)
    for task in view.tasks:
        waited = _waited_ns(view, task)
        if waited is None or waited[1] - waited[0] < bound_ns:
            continue
        for worker in view.latest.components_up:
            if not worker.startswith("worker-"):
                continue
            for began_ns, ended_ns in _with_room(view, worker, slots, waited):
                if ended_ns - began_ns >= bound_ns and _calm(view, worker, began_ns, ended_ns):
                    message = (
                        f"task {task.number} was ready and {worker} had a free slot for "
                        f"{(ended_ns - began_ns) // 10**6} ms"
                    )
                    waiting_ns = ended_ns - began_ns - TURNS * view.late_ns(began_ns, ended_ns)
                    certain = waiting_ns >= bound_ns and not view.stalled(began_ns, ended_ns)
                    yield Finding(message=message, tasks=(task.number,), certain=certain)


def _bound_ns(view: View) -> int:
    """The promised time, or more on a machine so busy that plain requests take long as well."""
    asked_ns = [c.ended_ns - c.sent_ns for c in view.history.creations if c.acknowledged]
    usual_ns = int(median(asked_ns)) if asked_ns else 0
    return max(view.contract.pickup_ms * 10**6, FACTOR * usual_ns)


def _waited_ns(view: View, task: TaskView) -> tuple[int, int] | None:
    """From when to when a task was ready and nobody had begun it; None if that is not certain."""
    if not task.acknowledged or task.tried(OperationKind.CANCEL) or not task.executions:
        return None
    # What a breaker keeps back is not ready.
    if view.transitions(task.request.task_type):
        return None
    begun = min(task.executions, key=lambda e: e.start_ns)
    due_ns = task.creation.sent_ns + task.request.delay_ms * 10**6
    ready_ns = max(task.creation.ended_ns, due_ns)
    return (ready_ns, begun.start_ns) if begun.attempt == 1 else None


def _with_room(
    view: View, worker: str, slots: int, span: tuple[int, int]
) -> Iterator[tuple[int, int]]:
    """Yield the stretches of a span in which a worker ran less than it can."""
    changes: list[tuple[int, int]] = []
    for execution in view.history.executions:
        if execution.component == worker:
            changes += [(execution.start_ns, 1), (view.end_ns(execution), -1)]
    running, since_ns = 0, span[0]
    for changed_ns, change in sorted(changes):
        at_ns = min(max(changed_ns, span[0]), span[1])
        had_room = running < slots
        running += change
        has_room = running < slots
        if had_room and not has_room:
            yield since_ns, at_ns
        elif has_room and not had_room:
            since_ns = at_ns
    if running < slots:
        yield since_ns, span[1]


def _calm(view: View, worker: str, began_ns: int, ended_ns: int) -> bool:
    """Say whether nothing was wrong, just before and meanwhile, and the worker there all along."""
    before_ns = began_ns - view.contract.pickup_ms * 10**6
    if view.faults(before_ns, ended_ns):
        return False
    if any(e.component == worker and before_ns <= e.at_ns <= ended_ns for e in view.history.exits):
        return False
    seen = [o for o in view.history.observations if o.at_ns <= ended_ns]
    # The last one before that counts as well: it tells who was there when it began.
    older = [o for o in seen if o.at_ns <= before_ns][-1:]
    since = older + [o for o in seen if o.at_ns > before_ns]
    return bool(since) and all(worker in o.components_up for o in since)
