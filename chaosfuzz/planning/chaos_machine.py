"""The state machine for people who write Hypothesis tests: plan first, run afterwards."""

import random
from typing import ClassVar

from hypothesis import HealthCheck, Phase, core, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from chaosfuzz.actions import action_of
from chaosfuzz.domain.schedule import Schedule, Step
from chaosfuzz.planning.machine import PlanningMachine, with_rules
from chaosfuzz.planning.pinning import Pinning

# Fewer steps than Hypothesis's default of 50, as each takes time on a real system. A test's own
# settings go first. Chosen by hand.
DEFAULT_STEPS = 15
Settings = settings


def settings_of(own: Settings | None) -> Settings:
    """Return a test's own settings, or those of the profile with at most DEFAULT_STEPS steps."""
    if own is not None:
        return own
    usual = settings()
    steps = min(usual.stateful_step_count, DEFAULT_STEPS)
    return settings(usual, stateful_step_count=steps)


class ChaosPlan(PlanningMachine):
    """A planning machine to which a test adds rules of its own; `add` appends a step."""

    planned_schedules: ClassVar[list[Schedule]] = []

    def teardown(self) -> None:
        """Keep the planned schedule."""
        self.planned_schedules.append(self.planned())

    def do(self, step: Step) -> None:
        """Append a step, its arguments made to go together; leave out one that does nothing."""
        self.add(action_of(step).moderate(step, self.model))


def seed_of(chosen: settings) -> int:
    """Return the seed of a test: that of `--hypothesis-seed`, 0 if derandomized, or a new one."""
    forced = vars(core).get("global_force_seed")
    if isinstance(forced, int):
        return forced
    return 0 if chosen.derandomize else random.SystemRandom().randrange(2**32)


def plan_schedules(
    machine: type[ChaosPlan],
    actions: tuple[str, ...],
    pinning: Pinning,
    chosen: settings,
    seed_number: int,
) -> list[Schedule]:
    """Return the distinct schedules that Hypothesis plans with a machine's rules and actions.

    `chosen` decides how many and how long (`max_examples`, `stateful_step_count`). Nothing runs
    while Hypothesis draws, so its draws do not depend on a system.
    """
    drawn: list[Schedule] = []
    ruled = with_rules(machine, actions, pinning)
    planning = type(machine.__name__, (ruled,), {"planned_schedules": drawn})
    plain = settings(
        chosen,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(seed(seed_number)(planning), settings=plain)
    return list(dict.fromkeys(schedule for schedule in drawn if schedule.steps))
