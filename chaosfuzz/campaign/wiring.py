"""Makes runners: a target's lane, the injectors, the invariants and the journal put together."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from chaosfuzz.actions import find_action
from chaosfuzz.checking import InvariantJudge, default_directories, load_invariants
from chaosfuzz.domain.abilities import CONTAINER_ABILITIES
from chaosfuzz.domain.case import ANY_FAILURE, PROCESS, Case
from chaosfuzz.domain.contract import Guarantee
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.fault import Journal
from chaosfuzz.domain.stop import StopSignal
from chaosfuzz.domain.target import (
    ColdTarget,
    DefectTarget,
    GuaranteeTarget,
    Lane,
    LaneTarget,
    PlacedTarget,
    Runner,
    RunnerTarget,
    Target,
    TargetDescription,
    WiredTarget,
)
from chaosfuzz.domain.verdict import Invariant
from chaosfuzz.execution import ScheduleRunner
from chaosfuzz.targets.registry import DEFAULT_TARGET, find_target
from chaosfuzz.wire import LaneWire

DEFAULT_MODE = Guarantee.AT_LEAST_ONCE.value


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What every command that runs schedules needs to know.

    `target` is a name, or the path of a profile. `on`: process or docker. `mode` is what the
    target is asked to promise. `own` are invariants beside those of the directories.
    """

    target: str = DEFAULT_TARGET
    on: str = PROCESS
    defects: tuple[str, ...] = ()
    mode: str = DEFAULT_MODE
    seed: int = 0
    invariants: Path | None = None
    only: tuple[str, ...] = ()
    own: tuple[Invariant, ...] = ()

    @cached_property
    def configured(self) -> Target:
        """The target with its defects, its guarantee and a proxy.

        Raises:
            UsageError: there is none of that name, or it cannot have the defects or the guarantee.

        """
        target = find_target(self.target, self.on)
        if self.defects:
            self._check_defects(target)
        if isinstance(target, DefectTarget):
            target = target.with_defects(self.defects)
        target = self._with_guarantee(target)
        return target.with_wire(LaneWire) if isinstance(target, WiredTarget) else target

    @property
    def description(self) -> TargetDescription:
        """What the configured target is and offers; raises UsageError as `configured` does."""
        return self.configured.description

    @property
    def place(self) -> str:
        """The target's name, with what it runs on if that is not processes."""
        name = self.description.name
        return name if self.on == PROCESS else f"{name} on {self.on}"

    @property
    def contract(self) -> str:
        """What cases say that the target promises."""
        return self.description.contract.guarantee.value

    def check(self) -> TargetDescription:
        """Return the description; raise UsageError for anything unknown."""
        description = self.description
        self.chosen_invariants()
        return description

    def check_case(self, case: Case) -> None:
        """Raise UsageError for anything unknown in a case: it could never fail again."""
        offered = self.check().actions
        for step in case.schedule.steps:
            if step.action not in offered:
                raise self._cannot(step.action)
        own = self.description.invariants
        known = [*own, *(invariant.name for invariant in self.chosen_invariants())]
        judges_itself = isinstance(self.configured, RunnerTarget)
        is_named = case.signature != ANY_FAILURE and not judges_itself
        if is_named and case.signature.invariant not in known:
            message = f"unknown invariant {case.signature.invariant!r}"
            raise UsageError(cause=message, remedy=f"choose among: {', '.join(known)}")

    def _cannot(self, action: str) -> UsageError:
        remedy = "chaosfuzz targets lists what there is"
        if find_action(action).abilities & CONTAINER_ABILITIES:
            remedy = "chaosfuzz doctor says why"
            if self.on == PROCESS and isinstance(self.configured, PlacedTarget):
                remedy = f"use --on {self.configured.places[0]}"
        return UsageError(cause=f"{self.place} cannot do {action}", remedy=remedy)

    def chosen_invariants(self) -> tuple[Invariant, ...]:
        """Return what is checked; raises UsageError for an invariant that is not there."""
        every = (*load_invariants(default_directories(self.invariants)), *self.own)
        known = [invariant.name for invariant in every]
        for name in self.only:
            if name not in known:
                raise UsageError(
                    cause=f"unknown invariant {name!r}", remedy=f"choose among: {', '.join(known)}"
                )
        return tuple(i for i in every if not self.only or i.name in self.only)

    def runner(self, lane: int, logs: Path, journal: Journal, stop: StopSignal) -> Runner:
        """Return a runner of its own lane. Raises InfrastructureError if it cannot be started."""
        if isinstance(self.configured, RunnerTarget):
            return self.configured.runner(seed=self.seed)
        judge = InvariantJudge(self.chosen_invariants())
        return ScheduleRunner(self.lane(lane, logs), judge, journal, stop)

    def lane(self, index: int, logs: Path) -> Lane:
        """Return a lane of the target, every component behind a proxy if it can be."""
        if not isinstance(self.configured, LaneTarget):
            raise UsageError(cause=f"{self.target} has no lanes", remedy=f"use {DEFAULT_TARGET}")
        return self.configured.lane(index, logs)

    def cold_lane(self, index: int, logs: Path) -> Lane:
        """Return a lane of the target that keeps nothing between schedules."""
        if not isinstance(self.configured, ColdTarget):
            message = f"{self.target} has no cold lanes"
            raise UsageError(cause=message, remedy=f"use {DEFAULT_TARGET}")
        return self.configured.cold_lane(index, logs)

    def _check_defects(self, target: Target) -> None:
        planted = target.description.defects if isinstance(target, DefectTarget) else ()
        known = [defect.name for defect in planted]
        for name in self.defects:
            if name not in known:
                there = ", ".join(known) or "none"
                message = f"unknown defect {name!r} of {self.target}"
                raise UsageError(cause=message, remedy=f"choose among: {there}")

    def _with_guarantee(self, target: Target) -> Target:
        promised = target.description.contract.guarantee
        if isinstance(target, GuaranteeTarget) and self.mode in target.guarantees:
            return target.with_guarantee(Guarantee(self.mode))
        if self.mode not in {DEFAULT_MODE, promised}:
            message = f"{self.target} promises {promised}, not {self.mode}"
            raise UsageError(cause=message, remedy="leave out --contract")
        return target
