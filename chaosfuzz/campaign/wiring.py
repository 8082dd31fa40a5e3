"""Makes runners: a target's lane, the injectors, the invariants and the journal put together."""

import threading
from dataclasses import dataclass
from pathlib import Path

from chaosfuzz.checking import InvariantJudge, default_directories, load_invariants
from chaosfuzz.domain.case import Case
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.fault import Journal
from chaosfuzz.domain.target import Lane, Runner, TargetDescription
from chaosfuzz.domain.verdict import Invariant
from chaosfuzz.execution import ScheduleRunner
from chaosfuzz.faults import standard_injectors
from chaosfuzz.targets.process import ReferenceTarget
from chaosfuzz.targets.process.target import describe as describe_reference
from chaosfuzz.targets.simulated import SimulatedTarget
from chaosfuzz.wire import LaneWire

TARGETS = ("reference", "simulated")


def describe(name: str) -> TargetDescription:
    """Return a target's description; raises UsageError listing the targets there are."""
    if name == "reference":
        return describe_reference()
    if name == "simulated":
        return SimulatedTarget().description
    message = f"unknown target {name!r}; targets are: {', '.join(TARGETS)}"
    raise UsageError(message)


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What every command that runs schedules needs to know."""

    target: str = "reference"
    defects: tuple[str, ...] = ()
    mode: str = "at-least-once"
    seed: int = 0
    invariants: Path | None = None
    only: tuple[str, ...] = ()

    def check(self) -> TargetDescription:
        """Raise UsageError for anything unknown."""
        description = describe(self.target)
        known = [defect.name for defect in description.defects]
        for name in self.defects:
            if name not in known:
                message = f"unknown defect {name!r} of {self.target}; there are: {', '.join(known)}"
                raise UsageError(message)
        if self.target != "simulated":
            self.chosen_invariants()
        return description

    def check_case(self, case: Case) -> None:
        """Raise UsageError for anything unknown in a case: it could never fail again."""
        self.check()
        known = [invariant.name for invariant in self.chosen_invariants()]
        if self.target != "simulated" and case.signature.invariant not in known:
            message = (
                f"unknown invariant {case.signature.invariant!r}; there are: {', '.join(known)}"
            )
            raise UsageError(message)

    def chosen_invariants(self) -> tuple[Invariant, ...]:
        """Return what is checked; raises UsageError for an invariant that is not there."""
        every = load_invariants(default_directories(self.invariants))
        known = [invariant.name for invariant in every]
        for name in self.only:
            if name not in known:
                message = f"unknown invariant {name!r}; there are: {', '.join(known)}"
                raise UsageError(message)
        return tuple(i for i in every if not self.only or i.name in self.only)

    def runner(self, lane: int, logs: Path, journal: Journal, stop: threading.Event) -> Runner:
        """Return a runner of its own lane. Raises InfrastructureError if it cannot be started."""
        if self.target == "simulated":
            return SimulatedTarget().runner(self.defects, self.seed)
        judge = InvariantJudge(self.chosen_invariants())
        return ScheduleRunner(self.lane(lane, logs), standard_injectors, judge, journal, stop)

    def lane(self, index: int, logs: Path) -> Lane:
        """Return a lane of the reference target, every component behind a proxy."""
        return ReferenceTarget(self.defects, self.mode, LaneWire).lane(index, logs)
