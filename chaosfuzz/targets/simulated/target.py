"""The simulated target: its description, and the lanes that it opens."""

from pathlib import Path

from chaosfuzz.actions import offered
from chaosfuzz.domain.abilities import PROCESS_ABILITIES, Ability
from chaosfuzz.domain.target import TargetDescription
from chaosfuzz.targets.simulated.defects import DEFECTS, SIGNATURES
from chaosfuzz.targets.simulated.system import CONTRACT, SimulatedLane

DESCRIPTION = TargetDescription(
    name="simulated",
    summary="a job queue in logical time: no processes, thousands of schedules a second",
    actions=offered(PROCESS_ABILITIES - {Ability.INQUIRIES, Ability.WIRE, Ability.REPLIES}),
    contract=CONTRACT,
    defects=DEFECTS,
    moments=False,
    invariants=tuple({signature.invariant: None for signature in SIGNATURES.values()}),
)


class SimulatedTarget:
    """Describes the simulation and makes lanes of it (implements LaneTarget, DefectTarget)."""

    def __init__(self, defects: tuple[str, ...] = ()) -> None:
        self._defects = defects

    def with_defects(self, names: tuple[str, ...]) -> "SimulatedTarget":
        """Return a target with these defects planted, and no others."""
        return SimulatedTarget(names)

    @property
    def description(self) -> TargetDescription:
        """The name, actions, contract and defects of the simulated target."""
        return DESCRIPTION

    def lane(self, index: int, directory: Path) -> SimulatedLane:
        """Return a lane with the defects planted; raises UsageError for an unknown defect."""
        return SimulatedLane(self._defects)
