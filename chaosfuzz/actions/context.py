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

Ability = TypeVar("Ability")


class Watch(Protocol):
    """Observes and judges the system while an action waits."""

    def __call__(
        self, until: Callable[[], bool], quiet_ms: float, *, progress: bool = False
    ) -> bool:
        """Wait for a condition; return False once the time is up.

        With `progress` the time counts from the last change of the system.
        """
        ...


@dataclass(kw_only=True)
class ActionContext:
    """One run of a schedule or a scenario as its actions see it.

    `now_ns` tells the time of the run, in ns. `healthy_workers` is how many workers a healed
    system has. `held` are the traps that hold a request, by component; `stranded` are the
    components with sessions that the database keeps without a client.
    """

    system: System
    history: History
    watch: Watch
    now_ns: Callable[[], int] = time.monotonic_ns
    healthy_workers: int = 1
    held: dict[str, list[Trap]] = field(default_factory=dict)
    stranded: set[str] = field(default_factory=set)

    def able(self, protocol: type[Ability], step: Step) -> Ability:
        """Return the system as one that has an ability.

        Raises UsageError if the target does not have it.
        """
        if not isinstance(self.system, protocol):
            raise lacks(step.action)
        return self.system

    def is_worker_up(self, component: Component) -> bool:
        """Say whether a worker runs now."""
        return str(component) in self.system.worker_names()

    def begin(self, kind: FaultKind, component: Component | str) -> None:
        """Record that a fault is in force from now on."""
        self.history.begin_fault(kind, str(component), self.now_ns())

    def confirm(self, kind: FaultKind, component: Component | str) -> None:
        """Record that a fault which is in force has certainly taken effect by now."""
        self.history.confirm_fault(kind, str(component), self.now_ns())

    def end(self, kind: FaultKind, component: Component | str) -> None:
        """Record that a fault is over as of now."""
        self.history.end_fault(kind, str(component), self.now_ns())

    def end_all(self, kind: FaultKind) -> None:
        """Record that all faults of a kind are over, also those of components that have ended."""
        for fault in tuple(self.history.faults):
            if fault.kind is kind:
                self.end(kind, fault.component)

    def settle(self, kind: FaultKind, component: Component | str, *, done: bool) -> Performed:
        """Return what became of a fault recorded before it was tried; end it if it did nothing."""
        if done:
            return DONE
        self.end(kind, component)
        return NOT_APPLICABLE


def lacks(what: str) -> UsageError:
    """Return the error for a target that cannot do what a schedule asks."""
    return UsageError(
        cause=f"this target cannot do {what}",
        remedy="remove the step, or use a target that can (see `chaosfuzz targets`)",
    )


def applied(*, done: bool) -> Performed:
    """Return DONE, or NOT_APPLICABLE if nothing was done."""
    return DONE if done else NOT_APPLICABLE


def sprung_ns(trap: Trap) -> int:
    """Return when a trap that has struck did so, by the monotonic clock."""
    return trap.sprung_ns or time.monotonic_ns()
