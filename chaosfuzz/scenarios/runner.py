"""Runs one scenario at one level on a fresh system, and grades it."""

import time
from contextlib import closing

from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.history import Health
from chaosfuzz.domain.scenario import Grade, ScenarioResult
from chaosfuzz.domain.verdict import Failure
from chaosfuzz.scenarios.builtin import Scenario
from chaosfuzz.scenarios.criteria import criteria, grade
from chaosfuzz.scenarios.levels import Level
from chaosfuzz.scenarios.measuring import measure
from chaosfuzz.scenarios.perform import perform
from chaosfuzz.scenarios.phases import Create, Program
from chaosfuzz.scenarios.seams import Pace, Seams
from chaosfuzz.scenarios.sight import CANARY, BrokenPromiseError
from chaosfuzz.scenarios.stage import Stage

# So often is a scenario run that could not be decided, as when the machine stood still.
TRIES = 3


def planned(scenario: Scenario, level: Level) -> Program:
    """Return the program of a scenario; raises UsageError if it makes no sense."""
    try:
        return scenario.plan(level)
    except ValueError as error:
        message = f"{scenario.source}: at level {level.number} {error}; mend the scenario"
        raise UsageError(message) from error


class ScenarioRunner:
    """Runs scenarios one after another in a lane."""

    def __init__(self, seams: Seams, pace: Pace, seed: int) -> None:
        self._seams = seams
        self._pace = pace
        self._seed = seed

    def run(self, scenario: Scenario, level: Level) -> ScenarioResult:
        """Run and grade; raises InfrastructureError if the harness failed.

        Raises KeyboardInterrupt when it was asked to stop.
        """
        result = self._run(scenario, level)
        for _ in range(TRIES - 1):
            if result.grade is not Grade.UNKNOWN:
                break
            self._seams.say(f"{scenario.name}: undecided ({result.why}); once more")
            result = self._run(scenario, level)
        return result

    def _run(self, scenario: Scenario, level: Level) -> ScenarioResult:
        program = planned(scenario, level)
        began = time.monotonic()
        self._seams.journal.write("scenario", scenario=scenario.name, level=level.number)
        seed = f"{self._seed} {scenario.name} {level.number}"
        with closing(self._seams.lane.open(program.workers)) as system:
            stage = Stage(system, program, self._seams, self._pace, scenario.name, seed)
            failures: tuple[Failure, ...] = ()
            try:
                _perform_all(stage)
            except BrokenPromiseError as broken:
                failures = broken.failures
            metrics = measure(stage)
        bound_s = stage.contract.recovery_ms / 1000
        held = (*stage.criteria, *criteria(program, level, self._pace, metrics, bound_s))
        reached, why = grade(
            program,
            metrics,
            held,
            failures,
            tuple(stage.undecided),
            stalled=bool(stage.history.stalls),
        )
        self._seams.journal.write("grade", scenario=scenario.name, grade=reached.value, why=why)
        return ScenarioResult(
            name=scenario.name,
            level=level.number,
            grade=reached,
            why=why,
            duration_s=round(time.monotonic() - began, 3),
            metrics=metrics,
            criteria=held,
            failures=failures,
            notes=tuple(stage.notes),
        )


def _perform_all(stage: Stage) -> None:
    stage.observe(ask_health=True)
    for phase in stage.program.phases:
        if stage.stuck:
            break
        perform(phase, stage)
    if stage.unfinished() and stage.past_deadline():
        stage.note(f"{len(stage.unfinished())} tasks are unfinished at the deadline")
    _heal(stage)
    # What is not done in time must still be there, and must be done some time.
    stage.wait(lambda: not stage.unfinished(), None)
    _finish(stage)


def _heal(stage: Stage) -> None:
    for injector in stage.injectors:
        injector.heal(stage.system, stage.history)
    stage.history.healed_ns = time.monotonic_ns()


def _finish(stage: Stage) -> None:
    """See that the system is well and takes new work, then check everything."""

    def is_well() -> bool:
        stage.observe(ask_health=True)
        return stage.history.observations[-1].health in {Health.WELL, Health.UNASKED}

    stage.wait(is_well, stage.contract.health_ms / 1000, by_progress=False)
    if not stage.unfinished():
        stage.create(Create(count=1, task_s=0.0, tag=CANARY))
        stage.wait(
            lambda: not stage.unfinished(), stage.contract.recovery_ms / 1000, by_progress=False
        )
    stage.observe(ask_health=True, count_sessions=True)
    stage.check(final=True)
