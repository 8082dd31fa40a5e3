from collections.abc import Iterator

from chaosfuzz.domain import FaultKind, Finding, Kind, View, invariant

# Nobody but a person or the kernel, out of memory, sends this one.
KILLED = -9


@invariant(kind=Kind.WORKER_EXIT)
def no_unordered_exit(view: View) -> Iterator[Finding]:
    """No component ends that nobody ended."""
    down = any(f.kind is FaultKind.DATABASE_DOWN for f in view.history.faults)
    declared = down and not view.contract.workers_survive_database_loss
    for gone in view.history.exits:
        role = gone.component.split("-")[0]
        if not gone.ordered and not (declared and role == "worker"):
            message = f"{gone.component} ended by itself with exit code {gone.exit_code}"
            yield Finding(message=message, role=role, certain=gone.exit_code != KILLED)
