from collections.abc import Iterator

from chaosfuzz.domain import TASK_TYPES, Execution, Finding, Kind, OperationKind, View, invariant


@invariant(kind=Kind.BREAKER, at_end=True)
def breaker_opens(view: View) -> Iterator[Finding]:
    """Enough failures of a task type in a row, on any workers, open its circuit breaker."""
    bounds = view.contract.breaker
    if bounds is None or not view.readable:
        return
    # A worker need not report the failure of a task that a client cancelled during the run.
    tasks = [t for t in view.tasks if not t.tried(OperationKind.CANCEL)]
    for index, name in enumerate(TASK_TYPES):
        runs = [e for t in tasks if t.request.task_type == index for e in t.executions]
        failures = _in_a_row(view, runs)
        if failures >= bounds.failures and not view.transitions(index):
            message = (
                f"{failures} executions of type {name} failed in a row, and its circuit breaker "
                "never opened"
            )
            stalled = view.machine_stalled(view.history.began_ns, view.now_ns)
            yield Finding(message=message, certain=not stalled)


def _in_a_row(view: View, runs: list[Execution]) -> int:
    """Return the length of the longest row of failures that reached the queue in that order.

    A worker writes a result to the queue a little after the ledger has it. So a failure within the
    acknowledgement grace of a success does not count. Neither does one that a fault may have kept
    from the queue.
    """
    grace_ns = view.contract.acknowledgement_grace_ms * 10**6
    ended = sorted(
        ((view.end_ns(e), e) for e in runs if e.result is not None), key=lambda pair: pair[0]
    )
    finished_ns = [at_ns for at_ns, execution in ended if execution.result != "failed"]
    most = row = 0
    for at_ns, execution in ended:
        if execution.result != "failed":
            row = 0
        elif not view.excused(execution) and not any(
            abs(at_ns - other_ns) <= grace_ns for other_ns in finished_ns
        ):
            row += 1
            most = max(most, row)
    return most
