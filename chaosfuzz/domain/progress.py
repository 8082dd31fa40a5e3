"""Progress of a run: whether anything changed, whether all is done, and the abstract state."""

from chaosfuzz.domain.contract import Contract
from chaosfuzz.domain.history import History
from chaosfuzz.domain.task import TaskRequest


def progress_mark(history: History) -> tuple[object, ...]:
    """Return a value that changes whenever the system makes progress.

    Progress is a start or end of an execution, a change of a task, breaker or running component, or
    an exit. The history needs an observation, here and in the functions below.
    """
    seen = history.observations[-1]
    return (
        len(history.executions),
        sum(e.end_ns is not None for e in history.executions),
        frozenset((t.task_id, t.status, t.attempts) for t in seen.tasks or ()),
        seen.components_up,
        seen.breakers,
        len(history.exits),
    )


def all_terminal(history: History) -> bool:
    """Say whether every task is terminal and every acknowledged creation is in the queue.

    False if the queue cannot be read.
    """
    tasks = history.observations[-1].tasks
    if tasks is None or not all(t.status.terminal for t in tasks):
        return False
    tokens = {t.token for t in tasks}
    return all(c.request.token in tokens for c in history.creations if c.acknowledged)


def abstract_state(history: History) -> str:
    """Return a key of the state: statuses with attempts, components up, and faults in force."""
    latest = history.observations[-1]
    statuses = sorted([f"{t.status}x{t.attempts}" for t in latest.tasks or ()])
    broken = sorted([f.kind.value for f in history.faults if f.ended_ns is None])
    readable = "up" if latest.tasks is not None else "down"
    return f"{','.join(statuses)}|{len(latest.components_up)}|{readable}|{','.join(broken)}"


def effort_ms(request: TaskRequest, contract: Contract) -> int:
    """Return for how many ms a task may work or wait for its breaker, in all attempts together."""
    most = contract.max_attempts or contract.attempts_of(request.failures)
    work_ms = request.duration_ms * most
    if contract.breaker is None:
        return work_ms
    # After a failure that opens the breaker, tasks of the type wait.
    failing = min(request.failures, most)
    return work_ms + failing * 2 * contract.breaker.open_ms
