"""The containers, the network and the volume of one lane, and their removal."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from chaosfuzz.targets.docker.container import GATE_DIRECTORY, Container, ContainerPair
from chaosfuzz.targets.docker.database import SOCKET_DIRECTORY, VOLUME_PATH, ContainerCluster
from chaosfuzz.targets.docker.engine import Engine
from chaosfuzz.targets.docker.events import EventStream
from chaosfuzz.targets.docker.image import GATE_PATH, PYTHON, SHIM_PATH, find_or_build
from chaosfuzz.targets.docker.network import create_network
from chaosfuzz.targets.docker.things import CLOCK_SHIM, RUN, ContainerPlan, labels_of, new_run
from chaosfuzz.targets.postgres import create_runtime_directory, locate_postgres
from chaosfuzz.targets.process.tuning import modules_of

DATABASE, HOLDER = "db", "holder"
SERVER_PORT = 8000
LEDGER_PATH = "/ledger"
# Chosen by hand: limits of memory, of the database's volume, and of processors.
MEMORY_BYTES = 256 << 20
DATABASE_MEMORY_BYTES = 1024 << 20
VOLUME_MB = 384
CPUS = 1.0
# The account and group `chaosfuzz` of the image.
USER = "65534:65534"
# Chosen by hand: how many containers are started or removed at a time.
_THREADS = 6


class ContainerSet:
    """Everything that a lane has at the engine, labelled with its run; `close` removes it all.

    Raises:
        InfrastructureError: the image cannot be built, or the engine refuses something.
        UsageError: the image that the environment names does not exist.

    """

    def __init__(self, engine: Engine, index: int) -> None:
        self.engine = engine
        self.run = new_run()
        self._index = index
        self._pairs: dict[str, ContainerPair] = {}
        with ExitStack() as undo:
            self.image = find_or_build(engine)
            self._has_shim = CLOCK_SHIM in (engine.image_labels(self.image) or {})
            self.directory = create_runtime_directory(f"docker lane {index}")
            undo.callback(shutil.rmtree, self.directory, ignore_errors=True)
            self.ledgers = self._shared("ledger")
            self.sockets = self._shared("postgres")
            self.events = EventStream(engine, f"{RUN}={self.run}")
            undo.callback(self.events.close)
            self._booting = undo.enter_context(ThreadPoolExecutor(_THREADS, "boot"))
            self.network = create_network(engine, self.run, self._name("net"))
            undo.callback(engine.remove, "network", self.network.identity)
            self.volume = self._name("data")
            engine.create_volume(self.volume, VOLUME_MB, labels_of(self.run, "volume"))
            undo.callback(engine.remove, "volume", self.volume)
            # The volume loses its data when no container uses it, so one does until the end.
            self.holder = engine.create(
                replace(
                    self._plan(HOLDER),
                    command=[PYTHON, GATE_PATH, "hold"],
                    volumes={self.volume: VOLUME_PATH},
                )
            )
            undo.callback(engine.remove, "container", self.holder)
            engine.start(self.holder)
            undo.callback(self._remove_containers)
            self.cluster = ContainerCluster(
                self.pair(DATABASE), self.sockets, self.network.gateway, locate_postgres().major
            )
            undo.callback(self.cluster.close)
            self._undo = undo.pop_all()

    def pair(self, component: str) -> ContainerPair:
        """Return the containers of a component; the first is made if there is none."""
        found = self._pairs.get(component)
        if found is None:
            found = self._pairs[component] = ContainerPair(partial(self._make, component))
        return found

    def container(self, component: str) -> Container:
        """Return the container that a component uses now; made if there is none."""
        return self.pair(component).current

    def containers(self) -> tuple[Container, ...]:
        """Return all containers of components."""
        return tuple(each for pair in tuple(self._pairs.values()) for each in pair.containers)

    def write_logs(self, directory: Path) -> None:
        """Write the log of each container to a file in a directory."""
        for container in self.containers():
            text = self.engine.logs(container.identity)
            (directory / f"{container.directory.name}.log").write_text(text, encoding="utf-8")

    def close(self) -> None:
        """Remove everything at the engine, and the directory."""
        self._undo.close()

    def _shared(self, name: str) -> Path:
        """Make a directory that containers and this machine share."""
        directory = self.directory / name
        directory.mkdir()
        # The containers run as a user without rights here.
        directory.chmod(0o777)
        return directory

    def _name(self, what: str) -> str:
        return f"chaosfuzz-{self.run}-{self._index}-{what}"

    def _plan(self, component: str, turn: str = "") -> ContainerPlan:
        return ContainerPlan(
            name=self._name(f"{component}{turn}"),
            hostname=component,
            image=self.image,
            command=[PYTHON, GATE_PATH],
            labels=labels_of(self.run, f"docker lane {self._index}", component),
            user=USER,
            memory_bytes=MEMORY_BYTES,
            health_command=[PYTHON, GATE_PATH, "health"],
        )

    def _make(self, component: str, turn: str) -> Container:
        plan = replace(
            self._plan(component, turn),
            network=self.network.name,
            address=self.network.address(component, turn),
        )
        clock = {"LD_PRELOAD": SHIM_PATH, "CHAOSFUZZ_CLOCK": f"{GATE_DIRECTORY}/clock"}
        if component == DATABASE:
            plan = replace(
                plan,
                binds={str(self.sockets): SOCKET_DIRECTORY},
                volumes={self.volume: VOLUME_PATH},
                memory_bytes=DATABASE_MEMORY_BYTES,
            )
        else:
            plan = replace(
                plan,
                command=[*plan.command, *modules_of(component)],
                binds={str(self.ledgers): LEDGER_PATH},
                cpus=CPUS,
                environment=clock if self._has_shim else {},
            )
        directory = self.directory / f"{component}{turn}"
        directory.mkdir()
        (directory / "clock").write_bytes(bytes(8))
        return Container(self.engine, self.events, plan, directory, self._booting)

    def _remove_containers(self) -> None:
        with ThreadPoolExecutor(_THREADS, "removal") as pool:
            # Waits for all, and raises the first error.
            list(pool.map(Container.close, self.containers()))
