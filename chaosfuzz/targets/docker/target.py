"""The reference target in containers: lanes keep them, each schedule gets a fresh database."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from chaosfuzz.actions import offered
from chaosfuzz.domain.abilities import PROCESS_ABILITIES
from chaosfuzz.domain.target import TargetDescription
from chaosfuzz.targets.components import SERVER
from chaosfuzz.targets.docker.abilities import container_abilities
from chaosfuzz.targets.docker.container_set import ContainerSet
from chaosfuzz.targets.docker.engine import Engine
from chaosfuzz.targets.docker.system import DockerSystem
from chaosfuzz.targets.ledger import Ledger
from chaosfuzz.targets.postgres.database import (
    READY_TIMEOUT_S,
    Address,
    Database,
    EmbeddedDatabase,
)
from chaosfuzz.targets.postgres.lane import ColdLane, PostgresLane
from chaosfuzz.targets.process.lane import ProcessLane
from chaosfuzz.targets.process.system import ReferenceSystem
from chaosfuzz.targets.process.target import ReferenceTarget

# Chosen by hand: the first start of PostgreSQL waits for a container as well.
START_TIMEOUT_S = 60.0


class DockerTarget(ReferenceTarget):
    """The reference system in containers of this machine's engine."""

    @property
    def description(self) -> TargetDescription:
        """The target and the actions that it offers on this machine.

        Raises InfrastructureError if no engine answers.
        """
        return replace(
            super().description,
            actions=offered(PROCESS_ABILITIES | container_abilities()),
            summary="the bundled job system: HTTP server, workers, PostgreSQL, as containers",
        )

    def lane(self, index: int, directory: Path) -> PostgresLane[ReferenceSystem]:
        """Start a lane: a network, containers, and a database with the schema in a template."""
        return DockerLane(index, directory, self.tuning, self.make_wire)

    def cold_lane(self, index: int, directory: Path) -> ColdLane[ReferenceSystem]:
        """Return a lane that makes a network, a database and containers for each schedule."""
        return ColdLane(lambda: self.lane(index, directory))


class DockerLane(ProcessLane):
    """Containers that stay; each schedule gets fresh programs in them."""

    def build(self, undo: ExitStack) -> Database:
        """Make a network and containers, and start the database in one of them."""
        engine = Engine()
        undo.callback(engine.close)
        self._containers = ContainerSet(engine, self._index)
        undo.callback(self._containers.close)
        undo.callback(self._containers.write_logs, self.logs)
        self._containers.container(SERVER).boot_ahead()
        cluster = self._containers.cluster
        cluster.initialise()
        cluster.start(START_TIMEOUT_S)
        return EmbeddedDatabase(cluster, READY_TIMEOUT_S)

    def host(self) -> str:
        """Return the address of this machine in the lane's network."""
        return self._containers.network.gateway

    def start(self, address: Address, workers: int) -> ReferenceSystem:
        """Start server and workers."""
        for name in (SERVER, *(f"worker-{slot}" for slot in range(1, workers + 1))):
            self._containers.container(name).boot_ahead()
        return DockerSystem(
            self._containers,
            database=self.database,
            address=address,
            ledger=Ledger(self._containers.ledgers / f"ledger-{next(self._numbers)}.jsonl", None),
            tuning=self._tuning,
            users=self._users,
            workers=workers,
            wire=self.wire,
        )
