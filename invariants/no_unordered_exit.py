from collections.abc import Iterator

from chaosfuzz.domain import Finding, Kind, View, invariant


@invariant(kind=Kind.WORKER_EXIT)
def no_unordered_exit(view: View) -> Iterator[Finding]:
    """No component ends that nobody ended."""
    for gone in view.history.exits:
        if not gone.ordered:
            role = gone.component.split("-")[0]
            message = f"{gone.component} ended by itself with exit code {gone.exit_code}"
            yield Finding(message=message, role=role)
