"""How far a history has got: what moved, what is done, and what state that is in the abstract."""

from chaosfuzz.domain.contract import Contract
from chaosfuzz.domain.history import History
from chaosfuzz.domain.task import TaskRequest


def progress_mark(history: History) -> tuple[object, ...]:
    """Return a value that differs from the one before whenever the system made progress."""
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
    """Say whether every task known is terminal and no creation is missing."""
    tasks = history.observations[-1].tasks
    if tasks is None or not all(t.status.terminal for t in tasks):
        return False
    tokens = {t.token for t in tasks}
    return all(c.request.token in tokens for c in history.creations if c.acknowledged)


def abstract_state(history: History) -> str:
    """Return statuses with attempts, how many components are up, and what is broken."""
    latest = history.observations[-1]
    statuses = sorted([f"{t.status}x{t.attempts}" for t in latest.tasks or ()])
    broken = sorted([f.kind.value for f in history.faults if f.ended_ns is None])
    readable = "up" if latest.tasks is not None else "down"
    return f"{','.join(statuses)}|{len(latest.components_up)}|{readable}|{','.join(broken)}"


def effort_ms(request: TaskRequest, contract: Contract) -> int:
    """Return how long a task may be at work or held back by its circuit breaker, all in all."""
    most = contract.max_attempts or contract.attempts_of(request.failures)
    work_ms = request.duration_ms * most
    if contract.breaker is None:
        return work_ms
    # A failure that opens a breaker keeps its like waiting.
    failing = min(request.failures, most)
    return work_ms + failing * 2 * contract.breaker.open_ms
