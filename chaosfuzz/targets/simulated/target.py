"""The simulated target as others see it."""

from chaosfuzz.actions import offered
from chaosfuzz.domain.abilities import PROCESS_ABILITIES, Ability
from chaosfuzz.domain.contract import Contract, Guarantee
from chaosfuzz.domain.target import TargetDescription
from chaosfuzz.targets.simulated.defects import DEFECTS
from chaosfuzz.targets.simulated.flakiness import RELIABLE, Flakiness
from chaosfuzz.targets.simulated.runner import SETTLE_MS, SimulatedRunner
from chaosfuzz.targets.simulated.steps import STEP_MS
from chaosfuzz.targets.simulated.world import LEASE_MS, MAX_ATTEMPTS

DESCRIPTION = TargetDescription(
    name="simulated",
    summary="a job queue in logical time: no processes, thousands of schedules a second",
    actions=offered(PROCESS_ABILITIES - {Ability.INQUIRIES, Ability.WIRE, Ability.REPLIES}),
    contract=Contract(
        guarantee=Guarantee.AT_LEAST_ONCE,
        lease_ms=LEASE_MS,
        recovery_ms=SETTLE_MS,
        acknowledgement_grace_ms=STEP_MS,
        request_timeout_ms=STEP_MS,
        health_ms=STEP_MS,
        max_attempts=MAX_ATTEMPTS,
    ),
    defects=DEFECTS,
)


class SimulatedTarget:
    """Describes the simulation and makes runners of it (implements RunnerTarget, DefectTarget)."""

    def __init__(self, defects: tuple[str, ...] = ()) -> None:
        self._defects = defects

    def with_defects(self, names: tuple[str, ...]) -> "SimulatedTarget":
        """Return the simulation with these defects."""
        return SimulatedTarget(names)

    @property
    def description(self) -> TargetDescription:
        """What it is and offers."""
        return DESCRIPTION

    def runner(
        self, defects: tuple[str, ...] = (), seed: int = 0, *, flakiness: Flakiness = RELIABLE
    ) -> SimulatedRunner:
        """Return a runner with these defects switched on; raises UsageError for unknown ones."""
        return SimulatedRunner(defects or self._defects, flakiness=flakiness, seed=seed)
