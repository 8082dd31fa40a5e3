"""What all injectors share."""

import time

from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.fault import Performed
from chaosfuzz.domain.history import FaultKind, History
from chaosfuzz.domain.outcome import Outcome
from chaosfuzz.domain.wire import Trap

NOT_APPLICABLE = Performed(applied=False, outcome=Outcome.FAILED, detail="does not apply")


def worker_name(slot: int) -> str:
    """Return the component in a worker slot."""
    return f"worker-{slot}"


def lacks(ability: str) -> UsageError:
    """Return the error for a target that cannot do what a schedule asks."""
    return UsageError(
        f"this target cannot do it: {ability}; remove the step or use a target that can "
        "(chaosfuzz targets lists what each offers)"
    )


def begin(history: History, kind: FaultKind, component: str) -> None:
    """Record a fault as of now."""
    history.begin_fault(kind, component, time.monotonic_ns())


def end(history: History, kind: FaultKind, component: str) -> None:
    """Record that a fault is over as of now."""
    history.end_fault(kind, component, time.monotonic_ns())


def end_all(history: History, kind: FaultKind) -> None:
    """Record that all faults of a kind are over as of now, also of those that have died since."""
    for fault in tuple(history.faults):
        if fault.kind is kind:
            end(history, kind, fault.component)


def sprung_ns(trap: Trap) -> int:
    """Return when a trap that has struck did so."""
    return trap.sprung_ns or time.monotonic_ns()
