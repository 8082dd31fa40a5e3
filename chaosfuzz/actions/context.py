"""What an action needs while its step is performed on a running system."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from chaosfuzz.domain.component import Component
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.fault import Performed
from chaosfuzz.domain.history import FaultKind, History
from chaosfuzz.domain.outcome import Outcome
from chaosfuzz.domain.schedule import Step
from chaosfuzz.domain.target import System
from chaosfuzz.domain.wire import Trap

NOT_APPLICABLE = Performed(applied=False, outcome=Outcome.FAILED, detail="does not apply")
DONE = Performed(applied=True)

Able = TypeVar("Able")


class Watch(Protocol):
    """Observe and judge the system while an action waits."""

    def __call__(
        self, until: Callable[[], bool], quiet_ms: float, *, progress: bool = False
    ) -> bool:
        """Wait until a condition is true; return False after `quiet_ms` milliseconds without.

        With `progress` the time counts from the last change of the system, else from the call.
        """
        ...


@dataclass(kw_only=True)
class ActionContext:
    """One run of a schedule or a scenario as its actions see it.

    `now_ns` returns the time of the run in ns. `healthy_workers` is the number of workers of a
    healed system. `held` has the traps that hold a request, by component. `stranded` has the
    components with sessions that the database keeps without a client.
    """

    system: System
    history: History
    watch: Watch
    now_ns: Callable[[], int] = time.monotonic_ns
    healthy_workers: int = 1
    held: dict[str, list[Trap]] = field(default_factory=dict)
    stranded: set[str] = field(default_factory=set)

    def able(self, protocol: type[Able], step: Step, remedy: str = "") -> Able:
        """Return the system, typed as one that implements a protocol.

        Raises UsageError, with a `remedy` of the action's own if there is one, if the system does
        not implement it.
        """
        if not isinstance(self.system, protocol):
            raise lacks(step.action, remedy)
        return self.system

    def is_worker_up(self, component: Component) -> bool:
        """Say whether a worker runs now."""
        return str(component) in self.system.worker_names()

    def begin(self, kind: FaultKind, component: Component | str, at_ns: int | None = None) -> None:
        """Record that a fault is in force from `at_ns` on; None: from now on."""
        self.history.begin_fault(kind, str(component), self.now_ns() if at_ns is None else at_ns)

    def confirm(self, kind: FaultKind, component: Component | str) -> None:
        """Record that a fault that is in force has certainly taken effect by now."""
        self.history.confirm_fault(kind, str(component), self.now_ns())

    def end(self, kind: FaultKind, component: Component | str) -> None:
        """Record that all faults of a kind on a component end now."""
        self.history.end_fault(kind, str(component), self.now_ns())

    def end_in(self, ms: int, kind: FaultKind, component: Component | str) -> None:
        """Record that all faults of a kind on a component end in so many ms of real time."""
        self.history.end_fault(kind, str(component), time.monotonic_ns() + ms * 10**6)

    def end_all(self, kind: FaultKind) -> None:
        """Record that all faults of a kind end now, also those of components that have ended."""
        for component in {fault.component for fault in self.history.faults if fault.kind is kind}:
            self.end(kind, component)


def lacks(wanted: str, remedy: str = "") -> UsageError:
    """Return the error for a target that cannot do a step."""
    return UsageError(
        cause=f"this target cannot do {wanted}",
        remedy=remedy or "remove the step, or use a target that can (see `chaosfuzz targets`)",
    )


def applied(*, done: bool) -> Performed:
    """Return DONE, or NOT_APPLICABLE if nothing was done."""
    return DONE if done else NOT_APPLICABLE


def sprung_ns(trap: Trap) -> int:
    """Return when a trap sprang, in ns of the monotonic clock; now if that is not on record."""
    return trap.sprung_ns or time.monotonic_ns()
