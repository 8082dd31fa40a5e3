from collections.abc import Iterator

from chaosfuzz.domain import Finding, Kind, View, invariant

# Schedules follow the wall clock, which is adjusted while it runs; the ledger has monotonic times.
# Chosen by hand.
CLOCK_SLACK_NS = 50_000_000


@invariant(kind=Kind.ORDER)
def scheduled_time_is_kept(view: View) -> Iterator[Finding]:
    """No task starts before its scheduled time."""
    for task in view.tasks:
        due_ns = task.creation.sent_ns + task.request.delay_ms * 10**6
        for execution in task.executions if task.request.delay_ms else ():
            if execution.start_ns < due_ns - CLOCK_SLACK_NS:
                early_ms = (due_ns - execution.start_ns) // 10**6
                message = f"task {task.number} started {early_ms} ms before its scheduled time"
                yield Finding(message=message, tasks=(task.number,))
