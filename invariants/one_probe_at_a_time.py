from collections.abc import Iterator

from chaosfuzz.domain import BreakerState, Finding, Kind, View, invariant


@invariant(kind=Kind.BREAKER)
def one_probe_at_a_time(view: View) -> Iterator[Finding]:
    """A half-open circuit breaker lets one task through at a time, with any number of workers."""
    for breaker in view.latest.breakers if view.latest is not None else ():
        if breaker.state is BreakerState.HALF_OPEN and breaker.let_through > 1:
            message = (
                f"the half-open circuit breaker of {breaker.task_type} let "
                f"{breaker.let_through} tasks through at once"
            )
            yield Finding(message=message)
