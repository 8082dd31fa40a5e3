from collections.abc import Iterator

from chaosfuzz.domain import Finding, Health, Kind, View, invariant


@invariant(kind=Kind.UNHEALTHY)
def requests_are_answered(view: View) -> Iterator[Finding]:
    """No request hangs past its deadline."""
    seen = view.latest
    if seen is not None and seen.health is Health.TIMED_OUT:
        bound = view.contract.request_timeout_ms
        stalled = view.stalled(seen.health_asked_ns, view.now_ns)
        message = f"a health request got no answer within {bound} ms"
        yield Finding(message=message, role="server", certain=not stalled)
