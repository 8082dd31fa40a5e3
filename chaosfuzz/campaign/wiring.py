"""Makes runners: a target's lane, the injectors, the invariants and the journal put together."""

import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from chaosfuzz.actions import find_action
from chaosfuzz.campaign.targets import REFERENCE, SIMULATED, Named, find_target
from chaosfuzz.checking import InvariantJudge, default_directories, load_invariants
from chaosfuzz.domain.abilities import CONTAINER_ABILITIES
from chaosfuzz.domain.case import PROCESS, Case
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.fault import Journal
from chaosfuzz.domain.target import Lane, Runner, TargetDescription
from chaosfuzz.domain.verdict import Invariant
from chaosfuzz.execution import ScheduleRunner
from chaosfuzz.targets.simulated import SimulatedTarget

DEFAULT_MODE = "at-least-once"


def describe(name: str, on: str = PROCESS) -> TargetDescription:
    """Return a target's description; raises UsageError listing the targets there are."""
    return find_target(name, on).description


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What every command that runs schedules needs to know.

    `target` is a name, or the path of a profile. `on`: process or docker.
    """

    target: str = "reference"
    on: str = PROCESS
    defects: tuple[str, ...] = ()
    mode: str = DEFAULT_MODE
    seed: int = 0
    invariants: Path | None = None
    only: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """The target's name, with what it runs on if that is not processes."""
        name = self.named.name
        return name if self.on == PROCESS else f"{name} on {self.on}"

    def check(self) -> TargetDescription:
        """Raise UsageError for anything unknown."""
        description = self.named.description
        known = [defect.name for defect in description.defects]
        for name in self.defects:
            if name not in known:
                there = ", ".join(known) or "none"
                message = f"unknown defect {name!r} of {self.target}"
                raise UsageError(cause=message, remedy=f"choose among: {there}")
        if self.target != SIMULATED:
            self.chosen_invariants()
        promised = description.contract.guarantee
        if self.target not in {REFERENCE, SIMULATED} and self.mode not in {DEFAULT_MODE, promised}:
            raise UsageError(
                cause=f"{self.target} promises {promised}", remedy="leave out --contract"
            )
        return description

    @cached_property
    def named(self) -> Named:
        """The target; raises UsageError if there is none of that name."""
        return find_target(self.target, self.on)

    @property
    def contract(self) -> str:
        """What cases say that the target promises."""
        if self.target in {REFERENCE, SIMULATED}:
            return self.mode
        return self.named.description.contract.guarantee.value

    def check_case(self, case: Case) -> None:
        """Raise UsageError for anything unknown in a case: it could never fail again."""
        offered = self.check().actions
        for step in case.schedule.steps:
            if step.action not in offered:
                raise self._cannot(step.action)
        known = [invariant.name for invariant in self.chosen_invariants()]
        if self.target != SIMULATED and case.signature.invariant not in known:
            message = f"unknown invariant {case.signature.invariant!r}"
            raise UsageError(cause=message, remedy=f"choose among: {', '.join(known)}")

    def _cannot(self, action: str) -> UsageError:
        remedy = "chaosfuzz targets lists what there is"
        if find_action(action).abilities & CONTAINER_ABILITIES:
            remedy = "use --on docker" if self.on == PROCESS else "chaosfuzz doctor says why"
        return UsageError(cause=f"{self.place} cannot do {action}", remedy=remedy)

    def chosen_invariants(self) -> tuple[Invariant, ...]:
        """Return what is checked; raises UsageError for an invariant that is not there."""
        every = load_invariants(default_directories(self.invariants))
        known = [invariant.name for invariant in every]
        for name in self.only:
            if name not in known:
                raise UsageError(
                    cause=f"unknown invariant {name!r}", remedy=f"choose among: {', '.join(known)}"
                )
        return tuple(i for i in every if not self.only or i.name in self.only)

    def runner(self, lane: int, logs: Path, journal: Journal, stop: threading.Event) -> Runner:
        """Return a runner of its own lane. Raises InfrastructureError if it cannot be started."""
        if self.target == SIMULATED:
            return SimulatedTarget().runner(self.defects, self.seed)
        judge = InvariantJudge(self.chosen_invariants())
        return ScheduleRunner(self.lane(lane, logs), judge, journal, stop)

    def lane(self, index: int, logs: Path) -> Lane:
        """Return a lane of the target, every component behind a proxy."""
        return self.named.lane(index, logs, self.defects, self.mode)
