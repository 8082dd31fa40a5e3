"""Makes runners from a target's lane, the invariants and the journal."""

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
    """The target, its configuration and the invariants, for every command that runs schedules.

    `target` is a name, or the path of a profile. `on` is process or docker. `mode` is the delivery
    guarantee that the target is asked for. `invariants` is a directory of invariants that are
    checked beside the built-in ones (None: ./invariants, if there is one), `own` are further ones.
    `only` has the names of those to check among all of them (empty: all).
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
            UsageError: no target has that name, or it cannot have the defects or the guarantee.

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
        """The description of the configured target; raises UsageError as `configured` does."""
        return self.configured.description

    @property
    def place(self) -> str:
        """The target's name, followed by "on docker" if it runs there."""
        name = self.description.name
        return name if self.on == PROCESS else f"{name} on {self.on}"

    @property
    def contract(self) -> str:
        """The delivery guarantee of the configured target, as cases hold it."""
        return self.description.contract.guarantee.value

    def check(self) -> TargetDescription:
        """Return the description; raise UsageError for an unknown target, defect or invariant."""
        description = self.description
        self.chosen_invariants()
        return description

    def check_case(self, case: Case) -> None:
        """Raise UsageError for an action or invariant of a case that the setup does not have.

        Such a case could never fail again.
        """
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
        remedy = "remove the step, or use another target: chaosfuzz targets lists them"
        if find_action(action).abilities & CONTAINER_ABILITIES:
            remedy = "run chaosfuzz doctor: it says what this machine lacks"
            if self.on == PROCESS and isinstance(self.configured, PlacedTarget):
                remedy = f"use --on {self.configured.places[0]}"
        return UsageError(cause=f"{self.place} cannot do {action}", remedy=remedy)

    def chosen_invariants(self) -> tuple[Invariant, ...]:
        """Load and return the invariants to check; raises UsageError for an unknown name."""
        every = (*load_invariants(default_directories(self.invariants)), *self.own)
        known = [invariant.name for invariant in every]
        for name in self.only:
            if name not in known:
                raise UsageError(
                    cause=f"unknown invariant {name!r}", remedy=f"choose among: {', '.join(known)}"
                )
        return tuple(i for i in every if not self.only or i.name in self.only)

    def runner(self, lane: int, logs: Path, journal: Journal, stop: StopSignal) -> Runner:
        """Return a runner that owns a new lane; its caller closes it.

        A target that runs schedules itself ignores `lane`, `logs`, `journal` and `stop`. Raises
        InfrastructureError if the lane cannot be started.
        """
        if isinstance(self.configured, RunnerTarget):
            return self.configured.runner(seed=self.seed)
        judge = InvariantJudge(self.chosen_invariants())
        return ScheduleRunner(self.lane(lane, logs), judge, journal, stop)

    def lane(self, index: int, logs: Path) -> Lane:
        """Return a new lane of the target, with a proxy before its components if it has one.

        Raises UsageError if the target has no lanes.
        """
        if not isinstance(self.configured, LaneTarget):
            raise UsageError(
                cause=f"{self.target} has no lanes, which this command needs",
                remedy=f"use a target that has some, such as {DEFAULT_TARGET}",
            )
        return self.configured.lane(index, logs)

    def cold_lane(self, index: int, logs: Path) -> Lane:
        """Return a new lane that keeps no warm processes or databases between schedules.

        Raises UsageError if the target has no such lanes.
        """
        if not isinstance(self.configured, ColdTarget):
            raise UsageError(
                cause=f"{self.target} has no cold lanes, which this command needs",
                remedy=f"use a target that has some, such as {DEFAULT_TARGET}",
            )
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
            message = f"{self.target} promises {promised}, and cannot be asked for {self.mode}"
            raise UsageError(
                cause=message, remedy=f"leave out --contract; the target is judged by {promised}"
            )
        return target
