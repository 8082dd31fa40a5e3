from collections.abc import Iterator
from itertools import pairwise

from chaosfuzz.domain import Finding, Kind, View, invariant

SERVER_ERROR = 500


@invariant(kind=Kind.UNHEALTHY)
def questions_are_served(view: View) -> Iterator[Finding]:
    """Before the first fault, no two list requests in a row are answered with a server error."""
    first_fault_ns = min((f.began_ns for f in view.history.faults), default=view.now_ns)
    for one, other in pairwise(view.history.inquiries):
        failed = all(asked.status and asked.status >= SERVER_ERROR for asked in (one, other))
        if failed and other.ended_ns <= first_fault_ns:
            message = (
                f"before the first fault, two requests in a row failed; the second, for "
                f"{other.kind.value}, gave: {other.detail}"
            )
            certain = not view.machine_stalled(one.sent_ns, other.ended_ns)
            yield Finding(message=message, role="server", certain=certain)
