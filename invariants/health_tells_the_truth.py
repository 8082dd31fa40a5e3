from collections.abc import Iterator

from chaosfuzz.domain import FaultKind, Finding, Health, Kind, View, invariant


@invariant(kind=Kind.UNHEALTHY)
def health_tells_the_truth(view: View) -> Iterator[Finding]:
    """The health endpoint does not answer "well" while the database is down."""
    seen = view.latest
    if seen is None or seen.health is not Health.WELL:
        return
    for fault in view.history.faults:
        over = fault.ended_ns is not None and fault.ended_ns <= seen.at_ns
        certain = fault.certain_ns is not None and fault.certain_ns < seen.health_asked_ns
        if fault.kind is FaultKind.DATABASE_DOWN and certain and not over:
            yield Finding(message="health says well while the database is down", role="server")
