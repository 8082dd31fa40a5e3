"""ChaosMachine: a Hypothesis state machine that tests a job system, collected by pytest."""

import tempfile
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar
from unittest import SkipTest, TestCase

from chaosfuzz.campaign.events import CaseSaved, ScheduleDone
from chaosfuzz.campaign.fuzz import FuzzCampaign, FuzzPlan
from chaosfuzz.campaign.reduction import Reduction
from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.cases import CaseStore
from chaosfuzz.domain.fault import NoJournal
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.target import TargetDescription
from chaosfuzz.domain.verdict import Invariant, Verdict
from chaosfuzz.planning import Moments, Pinning
from chaosfuzz.planning.chaos_machine import (
    ChaosPlan,
    Settings,
    plan_schedules,
    seed_of,
    settings_of,
)
from chaosfuzz.reporting.description import describe_case
from chaosfuzz.shrinking import Budget
from chaosfuzz.targets.registry import DEFAULT_TARGET


@cache
def _test_case_of(machine: type["ChaosMachine"]) -> type[TestCase]:
    body = {"machine": machine, "__module__": machine.__module__}
    return type(f"{machine.__name__}TestCase", (ChaosTestCase,), body)


class _TestCaseOf:
    """Makes the attribute `TestCase` of a machine, as Hypothesis's own state machines have it."""

    def __get__(self, _: object, machine: type["ChaosMachine"]) -> type[TestCase]:
        return _test_case_of(machine)


class ChaosMachine(ChaosPlan):
    """A test of a job system: subclass it, name a target, and let pytest collect its `TestCase`.

    Hypothesis plans the schedules with a rule for each action of the target and with the rules
    (`@rule`) of the subclass, which append steps by `self.do(step)`. Then chaosfuzz runs them, one
    after another in its lanes, checks its invariants and those of the subclass
    (`chaosfuzz.domain.invariant`), reduces the first failure and saves it as a case.

    Attributes:
        target: the name of a target, or the path of a profile.
        defects: defects to plant in the target.
        moments: whether faults come at requests (logical), by the clock, or both.
        lanes: how many schedules run in parallel.
        cases: the directory in which the case of a failure is saved.

    """

    target: ClassVar[str] = DEFAULT_TARGET
    defects: ClassVar[tuple[str, ...]] = ()
    moments: ClassVar[Moments] = Moments.BOTH
    lanes: ClassVar[int] = 2
    cases: ClassVar[Path] = Path("shrunk_cases")
    TestCase: Any = _TestCaseOf()


class ChaosTestCase(TestCase):
    """Plans the schedules of a machine, runs them, and fails with the case of the first failure."""

    machine: ClassVar[type[ChaosMachine]]
    settings: ClassVar[Settings | None] = None
    _seed = 0

    def runTest(self) -> None:  # noqa: N802 - unittest's name
        """Plan and run the schedules.

        Fails with the reduced schedule of the first broken promise; documented limits do not fail.
        Skipped if not one schedule could be decided.
        """
        with tempfile.TemporaryDirectory(prefix="chaosfuzz-test-") as out:
            self._run(Path(out))

    @cached_property
    def _settings(self) -> Settings:
        return settings_of(type(self).settings)

    def _run(self, out: Path) -> None:
        machine = self.machine
        self._seed = seed_of(self._settings)
        setup = Setup(
            target=machine.target,
            defects=machine.defects,
            seed=self._seed,
            own=tuple(v for v in _attributes(machine) if isinstance(v, Invariant)),
        )
        reduction = Reduction(setup=setup, store=CaseStore(machine.cases), budget=Budget())
        plan = FuzzPlan(
            setup=setup,
            examples=None,
            time_s=None,
            max_steps=self._settings.stateful_step_count,
            lanes=machine.lanes,
            reduction=reduction,
            out=out,
            moments=machine.moments,
            schedules=self._schedules,
        )
        decided = undecided = 0
        for event in FuzzCampaign(plan, NoJournal()).run():
            if isinstance(event, ScheduleDone):
                decided += event.result.verdict is not Verdict.UNKNOWN
                undecided += event.result.verdict is Verdict.UNKNOWN
            if isinstance(event, CaseSaved) and not event.case.documented:
                raise AssertionError(self._report(event))
        if undecided and not decided:
            message = f"none of {undecided} schedules could be decided"
            raise SkipTest(message)

    def _schedules(self, description: TargetDescription, pinning: Pinning) -> Iterator[Schedule]:
        planned = plan_schedules(
            self.machine, description.actions, pinning, self._settings, self._seed
        )
        takes = description.takes
        yield from dict.fromkeys(s if takes is None else s.taking(takes) for s in planned)

    def _report(self, saved: CaseSaved) -> str:
        lines = describe_case(
            saved.case, str(saved.path), original_steps=saved.original_steps, exhausted=False
        )
        return "\n".join((*lines, f"planned again with --hypothesis-seed={self._seed}"))


def _attributes(machine: type) -> Iterator[object]:
    seen: dict[str, object] = {}
    for kind in reversed(machine.__mro__):
        seen.update(vars(kind))
    yield from seen.values()
