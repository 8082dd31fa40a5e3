from collections.abc import Iterator

from chaosfuzz.domain import Finding, Kind, View, WorkerExit, invariant

# SIGKILL: the kernel, out of memory, or a person sends it; the target does not.
KILLED = -9


@invariant(kind=Kind.WORKER_EXIT)
def no_unordered_exit(view: View) -> Iterator[Finding]:
    """No component exits unless a step ended it; the contract may allow it to workers."""
    for gone in view.history.exits:
        role = gone.component.split("-")[0]
        allowed = view.contract.worker_exit is WorkerExit.ALLOWED or view.exit_excused(gone)
        if not gone.ordered and not (role == "worker" and allowed):
            message = f"{gone.component} ended by itself with exit code {gone.exit_code}"
            # A worker that may end without its database may also end after it lost its lease.
            lenient = view.contract.worker_exit is WorkerExit.WITHOUT_DATABASE
            slow = role == "worker" and lenient and view.machine_may_cost_lease(gone.at_ns)
            certain = gone.exit_code != KILLED and not slow
            yield Finding(message=message, role=role, certain=certain)
