from collections.abc import Iterator

from chaosfuzz.domain import BreakerState, Finding, Kind, View, invariant


@invariant(kind=Kind.BREAKER)
def open_breaker_keeps_tasks(view: View) -> Iterator[Finding]:
    """While the circuit breaker of a task type is open, no worker claims a task of that type."""
    for breaker in view.latest.breakers if view.latest is not None else ():
        if breaker.state is BreakerState.OPEN and breaker.let_through:
            message = (
                f"{breaker.let_through} tasks of type {breaker.task_type} were claimed while its "
                "circuit breaker was open"
            )
            yield Finding(message=message)
