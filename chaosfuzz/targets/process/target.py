"""The reference system as a target: its defects, guarantees, places and machine checks."""

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from chaosfuzz.actions import offered
from chaosfuzz.domain.abilities import PROCESS_ABILITIES
from chaosfuzz.domain.contract import Guarantee
from chaosfuzz.domain.target import Defect, MakeWire, TargetDescription
from chaosfuzz.reference.defects import DEFECTS
from chaosfuzz.targets.keeper import Keeper
from chaosfuzz.targets.postgres.lane import ColdLane, PostgresLane
from chaosfuzz.targets.process.lane import ColdProcessLane, ProcessLane
from chaosfuzz.targets.process.system import ReferenceSystem
from chaosfuzz.targets.process.tuning import Tuning


@dataclass(frozen=True, kw_only=True)
class ReferenceTarget:
    """The reference system as processes (implements LaneTarget and all optional protocols).

    Without `make_wire` there is no proxy, and no moment comes.
    """

    tuning: Tuning = field(default_factory=Tuning)
    make_wire: MakeWire | None = None
    guarantees = (Guarantee.AT_LEAST_ONCE, Guarantee.EXACTLY_ONCE_EFFECT)

    @property
    def description(self) -> TargetDescription:
        """The target's name, actions, contract and defects."""
        return TargetDescription(
            name="reference",
            summary="the bundled job system: HTTP server, workers, PostgreSQL, as processes",
            actions=offered(PROCESS_ABILITIES),
            contract=self.tuning.contract,
            defects=tuple(
                Defect(name=d.name, summary=d.summary, mirrors=d.mirrors) for d in DEFECTS.values()
            ),
        )

    def with_defects(self, names: tuple[str, ...]) -> "ReferenceTarget":
        """Return the target with these defects and no others."""
        return replace(self, tuning=replace(self.tuning, defects=names))

    def with_guarantee(self, guarantee: Guarantee) -> "ReferenceTarget":
        """Return the target whose contract promises this guarantee."""
        return replace(self, tuning=replace(self.tuning, mode=guarantee.value))

    def with_wire(self, make_wire: MakeWire) -> "ReferenceTarget":
        """Return the target with a proxy in each lane."""
        return replace(self, make_wire=make_wire)

    def lane(self, index: int, directory: Path) -> PostgresLane[ReferenceSystem]:
        """Start lane number `index`: a keeper, and a cluster with the schema in a template."""
        return ProcessLane(index, directory, self.tuning, self.make_wire)

    def cold_lane(self, index: int, directory: Path) -> ColdLane[ReferenceSystem]:
        """Return a lane that keeps a keeper, and makes all else anew for each schedule."""
        keeper = Keeper()
        make = partial(ColdProcessLane, index, directory, self.tuning, self.make_wire, keeper)
        return ColdLane(make, keeper.close)
