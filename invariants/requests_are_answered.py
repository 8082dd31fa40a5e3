from collections.abc import Iterator

from chaosfuzz.domain import Finding, Health, Kind, Outcome, View, invariant


@invariant(kind=Kind.UNHEALTHY)
def requests_are_answered(view: View) -> Iterator[Finding]:
    """Every request is answered in time, unless a fault held the client's connection."""
    bound_ms, seen = view.contract.request_timeout_ms, view.latest
    if not view.contract.serves_requests:
        return
    timed_out = seen is not None and seen.health is Health.TIMED_OUT
    if (
        seen is not None
        and timed_out
        and not view.answer_held_back(seen.health_asked_ns, seen.at_ns)
    ):
        stalled = view.machine_stalled(seen.health_asked_ns, view.now_ns)
        message = f"a health request got no answer within {bound_ms} ms"
        yield Finding(message=message, role="server", certain=not stalled)
    creations, operations = view.history.creations, view.history.operations
    asked = [(c.outcome, c.sent_ns, c.ended_ns) for c in creations]
    asked += [(o.outcome, o.sent_ns, o.ended_ns) for o in operations]
    asked += [(i.outcome, i.sent_ns, i.ended_ns) for i in view.history.inquiries]
    for outcome, sent_ns, ended_ns in asked:
        late = outcome is Outcome.UNKNOWN and ended_ns - sent_ns >= bound_ms * 10**6
        if late and not view.answer_held_back(sent_ns, ended_ns):
            message = f"a request got no answer within {bound_ms} ms"
            certain = not view.machine_stalled(sent_ns, ended_ns)
            yield Finding(message=message, role="server", certain=certain)
