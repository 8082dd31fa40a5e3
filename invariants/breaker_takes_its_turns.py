from collections.abc import Iterator

from chaosfuzz.domain import BreakerState, Finding, Kind, View, invariant

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
TURNS = {(CLOSED, OPEN), (OPEN, HALF_OPEN), (HALF_OPEN, OPEN), (HALF_OPEN, CLOSED)}


@invariant(kind=Kind.BREAKER)
def breaker_takes_its_turns(view: View) -> Iterator[Finding]:
    """A breaker closes only from half-open, and stays open for at least the promised time."""
    bounds, seen = view.contract.breaker, view.latest
    if bounds is None or seen is None:
        return
    opened_ms: dict[str, float] = {}
    for turn in seen.transitions:
        if (turn.before, turn.after) not in TURNS:
            message = f"the breaker of {turn.task_type} went from {turn.before} to {turn.after}"
            yield Finding(message=message)
        if turn.after is OPEN:
            opened_ms[turn.task_type] = turn.at_ms
        elif turn.after is HALF_OPEN and turn.task_type in opened_ms:
            stayed_ms = turn.at_ms - opened_ms[turn.task_type]
            # A negative stay: the database's clock was set back. Its times are rounded to 1 ms.
            if 0 <= stayed_ms < bounds.open_ms - 1:
                message = (
                    f"the breaker of {turn.task_type} was open for {stayed_ms:.0f} ms; "
                    f"the contract promises {bounds.open_ms} ms"
                )
                yield Finding(message=message)
