"""Runs one scenario at one level on a fresh system, and grades it."""

import time
from contextlib import closing

from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.scenario import Grade, ScenarioResult
from chaosfuzz.scenarios.builtin import Scenario
from chaosfuzz.scenarios.criteria import criteria, grade
from chaosfuzz.scenarios.levels import Level
from chaosfuzz.scenarios.measuring import measure
from chaosfuzz.scenarios.parts import Pace, ScenarioParts
from chaosfuzz.scenarios.perform import perform
from chaosfuzz.scenarios.phases import Program
from chaosfuzz.scenarios.stage import Stage

# An undecided scenario (the machine stood still, say) is run so often at most. Chosen by hand.
TRIES = 3


def planned(scenario: Scenario, level: Level) -> Program:
    """Return the program of a scenario at a level; raises UsageError if a value is out of range."""
    try:
        return scenario.plan(level)
    except ValueError as error:
        message = f"{scenario.source}: at level {level.number} {error}"
        raise UsageError(cause=message, remedy="correct the scenario") from error


class ScenarioRunner:
    """Runs scenarios one after another in a lane."""

    def __init__(self, parts: ScenarioParts, pace: Pace, seed: int) -> None:
        self._parts = parts
        self._pace = pace
        self._seed = seed

    def run(self, scenario: Scenario, level: Level) -> ScenarioResult:
        """Run and grade a scenario, each time on a fresh system; up to TRIES times if undecided.

        Raises InfrastructureError if the harness failed, and Stopped when the stop signal is set.
        """
        result = self._run(scenario, level)
        for _ in range(TRIES - 1):
            if result.grade is not Grade.UNKNOWN:
                break
            self._parts.say(f"{scenario.name}: undecided ({result.why}); it is run again")
            result = self._run(scenario, level)
        return result

    def _run(self, scenario: Scenario, level: Level) -> ScenarioResult:
        program = planned(scenario, level)
        began = time.monotonic()
        self._parts.journal.write("scenario", scenario=scenario.name, level=level.number)
        seed = f"{self._seed} {scenario.name} {level.number}"
        with closing(self._parts.lane.open(program.workers)) as system:
            stage = Stage(system, program, self._parts, self._pace, scenario.name, seed)
            failures = stage.run(lambda: _perform_phases(stage))
            for limit in stage.observer.limits.values():
                stage.note(f"documented limit: {limit.message}; {limit.documented}")
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
        self._parts.journal.write("grade", scenario=scenario.name, grade=reached.value, why=why)
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


def _perform_phases(stage: Stage) -> None:
    for phase in stage.program.phases:
        if stage.stuck:
            break
        perform(phase, stage)
    if stage.unfinished() and stage.past_deadline():
        stage.note(f"{len(stage.unfinished())} tasks are unfinished at the deadline")
