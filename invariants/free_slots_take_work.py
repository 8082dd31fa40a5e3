from collections.abc import Iterator
from statistics import median

from chaosfuzz.domain import Finding, Kind, OperationKind, TaskView, View, invariant

# A task may wait for as long as 25 plain requests take. Chosen by hand.
FACTOR = 25
# From its creation to its start a task needs about 20 turns of server, database, wire and worker.
# The harness's idle thread takes 50 turns a second, so within the pickup bound of one second the
# expected delay is 20/50, about half, of what that thread waited. The bound is ten times that.
TURNS = 5


@invariant(kind=Kind.DEGRADED, at_end=True)
def free_slots_take_work(view: View) -> Iterator[Finding]:
    """A ready task does not wait while a healthy worker has a free slot."""
    slots = view.contract.slots_per_worker
    if slots is None or view.latest is None or not view.readable:
        return
    bound_ns = _bound_ns(view)
    for task in view.tasks:
        waited = _waiting_span(view, task)
        if waited is None or waited[1] - waited[0] < bound_ns:
            continue
        for worker in view.latest.components_up:
            if not worker.startswith("worker-"):
                continue
            for began_ns, ended_ns in _spans_with_room(view, worker, slots, waited):
                if ended_ns - began_ns >= bound_ns and _undisturbed(
                    view, worker, began_ns, ended_ns
                ):
                    message = (
                        f"task {task.number} was ready and {worker} had a free slot for "
                        f"{(ended_ns - began_ns) // 10**6} ms"
                    )
                    waiting_ns = (
                        ended_ns - began_ns - TURNS * view.processor_wait_ns(began_ns, ended_ns)
                    )
                    certain = waiting_ns >= bound_ns and not view.machine_stalled(
                        began_ns, ended_ns
                    )
                    yield Finding(message=message, tasks=(task.number,), certain=certain)


def _bound_ns(view: View) -> int:
    """Return the promised pickup time, or more if plain requests take long on this machine."""
    asked_ns = [c.ended_ns - c.sent_ns for c in view.history.creations if c.acknowledged]
    usual_ns = int(median(asked_ns)) if asked_ns else 0
    return max(view.contract.pickup_ms * 10**6, FACTOR * usual_ns)


def _waiting_span(view: View, task: TaskView) -> tuple[int, int] | None:
    """Return when a task became ready and when it was first started; None if not certain."""
    if not task.acknowledged or task.tried(OperationKind.CANCEL) or not task.executions:
        return None
    # A task that a circuit breaker holds back is not ready.
    if view.transitions(task.request.task_type):
        return None
    begun = min(task.executions, key=lambda e: e.start_ns)
    due_ns = task.creation.sent_ns + task.request.delay_ms * 10**6
    ready_ns = max(task.creation.ended_ns, due_ns)
    return (ready_ns, begun.start_ns) if begun.attempt == 1 else None


def _spans_with_room(
    view: View, worker: str, slots: int, span: tuple[int, int]
) -> Iterator[tuple[int, int]]:
    """Yield the parts of a span in which a worker had a free slot."""
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


def _undisturbed(view: View, worker: str, began_ns: int, ended_ns: int) -> bool:
    """Say whether, from one pickup time before a span to its end, nothing was wrong.

    That is: no fault was in force, and the worker was up in every observation and did not exit.
    """
    before_ns = began_ns - view.contract.pickup_ms * 10**6
    if view.faults(before_ns, ended_ns):
        return False
    if any(e.component == worker and before_ns <= e.at_ns <= ended_ns for e in view.history.exits):
        return False
    seen = [o for o in view.history.observations if o.at_ns <= ended_ns]
    # The last observation before that time shows which workers were up when it began.
    older = [o for o in seen if o.at_ns <= before_ns][-1:]
    since = older + [o for o in seen if o.at_ns > before_ns]
    return bool(since) and all(worker in o.components_up for o in since)
