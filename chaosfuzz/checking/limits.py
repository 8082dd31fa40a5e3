"""Decides whether a failure is a documented limit of the target or a broken promise."""

import signal

from chaosfuzz.domain.contract import Limit
from chaosfuzz.domain.history import Fault, FaultKind
from chaosfuzz.domain.verdict import Failure
from chaosfuzz.domain.view import TaskView, View

# Exit codes of SIGKILL: of a process, and of the first process of a container.
_KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)


def documented(view: View, failure: Failure) -> Limit | None:
    """Return the limit of the contract that admits a failure; None if it breaks a promise.

    A limit admits only failures of its own kind, after its own faults (see contract.Limit). Another
    failure with the same signature still breaks a promise.
    """
    for limit in view.contract.limits:
        if limit.kind == failure.signature.kind and _covers(view, limit, failure):
            return limit
    return None


def _covers(view: View, limit: Limit, failure: Failure) -> bool:
    tasks = [task for task in view.tasks if task.number in failure.tasks]
    if limit.status and not all(task.state and task.state.status == limit.status for task in tasks):
        return False
    if not limit.after:
        return True
    faults = [fault for fault in view.history.faults if _kind(view, fault) in limit.after]
    if limit.of_run or not tasks:
        return bool(faults)
    return all(any(_touches(view, task, fault) for fault in faults) for task in tasks)


def _kind(view: View, fault: Fault) -> FaultKind:
    """Return a fault's kind; a stop that ended with SIGKILL counts as a kill."""
    if fault.kind is not FaultKind.STOPPED or fault.ended_ns is None:
        return fault.kind
    killed = any(
        gone.component == fault.component
        and gone.exit_code in _KILLED
        and fault.began_ns <= gone.at_ns <= fault.ended_ns
        for gone in view.history.exits
    )
    return FaultKind.KILLED if killed else fault.kind


def _touches(view: View, task: TaskView, fault: Fault) -> bool:
    """Say whether a fault may have had a part in what became of a task.

    It did if it was in force after the last execution ended, or if it hit the worker of an
    execution between its start and its end, with the acknowledgement grace on both sides. An outage
    of the database did if it was in force after the creation; so did any fault, if the task has no
    execution.
    """
    grace_ns = view.contract.acknowledgement_grace_ms * 10**6
    if fault.kind is FaultKind.DATABASE_DOWN or not task.executions:
        return fault.touches(task.creation.sent_ns, view.now_ns)
    ended_ns = max(view.end_ns(e) for e in task.executions)
    # The fault may have hit the next worker after it claimed the task and before it started it.
    return fault.touches(ended_ns + 1, view.now_ns) or any(
        fault.component == e.component
        and fault.touches(e.start_ns - grace_ns, view.end_ns(e) + grace_ns)
        for e in task.executions
    )
