from collections.abc import Iterator

from chaosfuzz.domain import Finding, Kind, View, invariant

SESSIONS_PER_COMPONENT = 16


@invariant(kind=Kind.LEAK, at_end=True)
def no_leak(view: View) -> Iterator[Finding]:
    """Restarts and outages leave no database sessions or open transactions behind."""
    seen = view.latest
    if seen is None:
        return
    stalled = view.stalled(view.history.healed_ns or view.now_ns, view.now_ns)
    bound = SESSIONS_PER_COMPONENT * max(1, len(seen.components_up))
    if seen.database_sessions > bound:
        message = (
            f"{seen.database_sessions} database sessions for {len(seen.components_up)} components"
        )
        yield Finding(message=message, role="database", certain=not stalled)
    if seen.open_transactions:
        message = f"{seen.open_transactions} transactions stay open with nothing to do"
        yield Finding(message=message, role="database", certain=not stalled)
