"""The reference target in containers: lanes with warm ones, a fresh database for each schedule."""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from chaosfuzz.actions import offered
from chaosfuzz.domain.abilities import PROCESS_ABILITIES
from chaosfuzz.domain.target import TargetDescription
from chaosfuzz.domain.wire import Wire
from chaosfuzz.reference.schema import SCHEMA
from chaosfuzz.targets.components import SERVER
from chaosfuzz.targets.docker.abilities import probed_abilities
from chaosfuzz.targets.docker.engine import Engine
from chaosfuzz.targets.docker.rack import Rack
from chaosfuzz.targets.docker.system import DockerSystem
from chaosfuzz.targets.process.target import TEMPLATE
from chaosfuzz.targets.process.target import describe as describe_processes
from chaosfuzz.targets.process.tuning import Tuning
from chaosfuzz.targets.process.users import Users

START_TIMEOUT_S = 60.0
MakeWire = Callable[[str], Wire]


def describe() -> TargetDescription:
    """Return what the reference target in containers is, and offers on this machine.

    Raises:
        InfrastructureError: no engine answers.

    """
    able = {probed.ability for probed in probed_abilities() if probed.works}
    return replace(
        describe_processes(),
        actions=offered(PROCESS_ABILITIES | able),
        summary="the bundled job system: HTTP server, workers, PostgreSQL, as containers",
    )


class DockerTarget:
    """Implements Target. `make_wire` makes a proxy that listens at an address."""

    def __init__(self, defects: tuple[str, ...], mode: str, make_wire: MakeWire) -> None:
        self._tuning = Tuning(defects=tuple(defects), mode=mode)
        self._make_wire = make_wire
        self.description = describe()

    def lane(self, index: int, directory: Path) -> "DockerLane":
        """Start a lane: a network, a database with the schema in a template, and containers."""
        return DockerLane(index, directory, self._tuning, self._make_wire)


class DockerLane:
    """Warm containers; each schedule gets a fresh database and fresh programs (implements Lane)."""

    def __init__(self, index: int, directory: Path, tuning: Tuning, make_wire: MakeWire) -> None:
        self._numbers = itertools.count(1)
        self._used: str | None = None
        self._tuning = tuning
        self._users = Users()
        self._logs = directory / f"docker-lane-{index}"
        self._logs.mkdir(parents=True, exist_ok=True)
        with ExitStack() as undo:
            engine = Engine()
            undo.callback(engine.close)
            self._rack = Rack(engine, index)
            undo.callback(self._rack.close)
            undo.callback(self._rack.write_logs, self._logs)
            self._rack.container(SERVER).boot_ahead()
            cluster = self._rack.cluster
            cluster.initialise()
            cluster.start(START_TIMEOUT_S)
            cluster.prepare_template(TEMPLATE, SCHEMA + self._users.script())
            self._wire = make_wire(self._rack.network.gateway)
            undo.callback(self._wire.close)
            self._undo = undo.pop_all()

    def open(self, workers: int) -> DockerSystem:
        """Return a fresh system on a database cloned from the template."""
        for name in (SERVER, *(f"worker-{slot}" for slot in range(1, workers + 1))):
            self._rack.container(name).boot_ahead()
        database = f"schedule_{next(self._numbers)}"
        self._rack.cluster.create_database(database, TEMPLATE)
        used, self._used = self._used, database
        with ThreadPoolExecutor(1, "drop") as background:
            dropping = background.submit(self._drop, used)
            system = DockerSystem(
                self._rack,
                database=database,
                tuning=self._tuning,
                users=self._users,
                workers=workers,
                wire=self._wire,
            )
            dropping.result()
        return system

    def close(self) -> None:
        """Remove everything."""
        self._undo.close()

    def _drop(self, database: str | None) -> None:
        if database is not None:
            self._rack.cluster.drop_database(database)
