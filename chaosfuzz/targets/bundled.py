"""The reference system by its name: as processes, or in containers."""

from collections.abc import Iterator
from typing import ClassVar

from chaosfuzz.domain.case import DOCKER
from chaosfuzz.domain.check_result import CheckResult, look
from chaosfuzz.targets.postgres.checks import check_cluster, check_installation
from chaosfuzz.targets.process import ReferenceTarget


class BundledTarget(ReferenceTarget):
    """The reference system as processes, which also runs in containers."""

    places: ClassVar[tuple[str, ...]] = (DOCKER,)

    def on(self, place: str) -> ReferenceTarget:
        """Return the target in containers of this machine's Docker engine.

        Raises:
            UsageError: the docker package is missing.

        """
        # Imported only here, as the docker package is optional.
        from chaosfuzz.targets.docker import DockerTarget

        assert place == DOCKER, place
        return DockerTarget(tuning=self.tuning, make_wire=self.make_wire)

    def check_machine(self) -> Iterator[CheckResult]:
        """Find PostgreSQL, start a cluster, and check that containers can run here."""
        from chaosfuzz.targets.docker.abilities import check_engine

        yield look("postgresql", check_installation)
        yield look("cluster", check_cluster)
        yield look("docker", check_engine)
