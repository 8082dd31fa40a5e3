from collections.abc import Iterator

from chaosfuzz.domain import Finding, Health, Kind, Outcome, View, invariant


@invariant(kind=Kind.UNHEALTHY)
def requests_are_answered(view: View) -> Iterator[Finding]:
    """No request hangs past its deadline."""
    bound_ms, seen = view.contract.request_timeout_ms, view.latest
    if seen is not None and seen.health is Health.TIMED_OUT:
        stalled = view.stalled(seen.health_asked_ns, view.now_ns)
        message = f"a health request got no answer within {bound_ms} ms"
        yield Finding(message=message, role="server", certain=not stalled)
    creations, operations = view.history.creations, view.history.operations
    asked = [(c.outcome, c.sent_ns, c.ended_ns) for c in creations]
    asked += [(o.outcome, o.sent_ns, o.ended_ns) for o in operations]
    for outcome, sent_ns, ended_ns in asked:
        if outcome is Outcome.UNKNOWN and ended_ns - sent_ns >= bound_ms * 10**6:
            message = f"a request got no answer within {bound_ms} ms"
            certain = not view.stalled(sent_ns, ended_ns)
            yield Finding(message=message, role="server", certain=certain)
