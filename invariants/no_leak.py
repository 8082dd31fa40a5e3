from collections.abc import Iterator

from chaosfuzz.domain import Finding, Kind, View, invariant

# Chosen by hand.
SESSIONS_PER_COMPONENT = 16


@invariant(kind=Kind.LEAK, at_end=True)
def no_leak(view: View) -> Iterator[Finding]:
    """After healing, no database sessions or open transactions are left behind."""
    seen = view.latest
    if seen is None:
        return
    stalled = view.machine_stalled(view.history.healed_ns or view.now_ns, view.now_ns)
    bound = SESSIONS_PER_COMPONENT * max(1, len(seen.components_up))
    if seen.database_sessions > bound:
        running = len(seen.components_up)
        message = (
            f"after healing {seen.database_sessions} database sessions are open; {bound} is the "
            f"most for {running} component{'' if running == 1 else 's'} "
            f"({SESSIONS_PER_COMPONENT} each, and at least for one)"
        )
        yield Finding(message=message, role="database", certain=not stalled)
    if seen.open_transactions:
        message = f"{seen.open_transactions} database sessions are idle in an open transaction"
        yield Finding(message=message, role="database", certain=not stalled)
