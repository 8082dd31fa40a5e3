from collections.abc import Iterator

from chaosfuzz.domain import FaultKind, Finding, Kind, View, WorkerExit, invariant

# Nobody but a person or the kernel, out of memory, sends this one.
KILLED = -9


@invariant(kind=Kind.WORKER_EXIT)
def no_unordered_exit(view: View) -> Iterator[Finding]:
    """No component ends that nobody ended, unless the contract lets it."""
    for gone in view.history.exits:
        role = gone.component.split("-")[0]
        if not gone.ordered and not (role == "worker" and _declared(view, gone.component)):
            message = f"{gone.component} ended by itself with exit code {gone.exit_code}"
            # One that may end without its database may have been given up for dead as well.
            lenient = view.contract.worker_exit is WorkerExit.WITHOUT_DATABASE
            excused = role == "worker" and lenient and view.kept_from_lease(gone.at_ns)
            certain = gone.exit_code != KILLED and not excused
            yield Finding(message=message, role=role, certain=certain)


def _declared(view: View, component: str) -> bool:
    if view.contract.worker_exit is WorkerExit.WITHOUT_DATABASE:
        return any(
            f.kind is FaultKind.DATABASE_DOWN
            or (f.kind is FaultKind.CUT_OFF and f.component == component)
            for f in view.history.faults
        )
    return view.contract.worker_exit is WorkerExit.ALLOWED
