"""The reference system as a target: its defects, guarantees and places, and what it needs."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from chaosfuzz.actions import offered
from chaosfuzz.domain.abilities import PROCESS_ABILITIES
from chaosfuzz.domain.case import DOCKER
from chaosfuzz.domain.check_result import CheckResult, look
from chaosfuzz.domain.contract import Guarantee
from chaosfuzz.domain.target import Defect, MakeWire, TargetDescription
from chaosfuzz.reference.defects import DEFECTS
from chaosfuzz.targets.keeper import Keeper
from chaosfuzz.targets.postgres.checks import check_cluster, check_installation
from chaosfuzz.targets.postgres.lane import ColdLane, PostgresLane
from chaosfuzz.targets.process.lane import ColdProcessLane, ProcessLane
from chaosfuzz.targets.process.system import ReferenceSystem
from chaosfuzz.targets.process.tuning import Tuning


@dataclass(frozen=True, kw_only=True)
class ReferenceTarget:
    """The reference system as processes (implements LaneTarget and every optional ability).

    Without `make_wire` there is no proxy, and no moment comes.
    """

    tuning: Tuning = field(default_factory=Tuning)
    make_wire: MakeWire | None = None
    guarantees = (Guarantee.AT_LEAST_ONCE, Guarantee.EXACTLY_ONCE_EFFECT)
    places: ClassVar[tuple[str, ...]] = (DOCKER,)

    @property
    def description(self) -> TargetDescription:
        """What it is and offers."""
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
        """Return the target with these defects."""
        return replace(self, tuning=replace(self.tuning, defects=names))

    def with_guarantee(self, guarantee: Guarantee) -> "ReferenceTarget":
        """Return the target that promises this."""
        return replace(self, tuning=replace(self.tuning, mode=guarantee.value))

    def with_wire(self, make_wire: MakeWire) -> "ReferenceTarget":
        """Return the target with a proxy in each lane."""
        return replace(self, make_wire=make_wire)

    def on(self, place: str) -> "ReferenceTarget":
        """Return the target in containers.

        Raises:
            InfrastructureError: no Docker engine answers.
            UsageError: the docker package is missing.

        """
        from chaosfuzz.targets.docker import DockerTarget

        assert place == DOCKER, place
        return DockerTarget(tuning=self.tuning, make_wire=self.make_wire)

    def lane(self, index: int, directory: Path) -> PostgresLane[ReferenceSystem]:
        """Start a lane: a keeper and a cluster with the schema in a template."""
        return ProcessLane(index, directory, self.tuning, self.make_wire)

    def cold_lane(self, index: int, directory: Path) -> ColdLane[ReferenceSystem]:
        """Return a lane that starts a keeper, and everything else for each schedule."""
        keeper = Keeper()

        def make() -> ColdProcessLane:
            return ColdProcessLane(index, directory, self.tuning, self.make_wire, keeper)

        return ColdLane(make, keeper.close)

    def check_machine(self) -> Iterator[CheckResult]:
        """Look for PostgreSQL, start a cluster, and look for what containers need."""
        from chaosfuzz.targets.docker.checks import check_engine

        yield look("postgresql", check_installation)
        yield look("cluster", check_cluster)
        yield look("docker", check_engine)
