"""The containers, the network and the volume of one lane, and their removal."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from chaosfuzz.targets.docker.container import GATE_DIRECTORY, Container
from chaosfuzz.targets.docker.database import SOCKET_DIRECTORY, VOLUME_PATH, ContainerCluster
from chaosfuzz.targets.docker.engine import Engine
from chaosfuzz.targets.docker.events import EventStream
from chaosfuzz.targets.docker.image import GATE_PATH, PYTHON, find_or_build, postgres_major
from chaosfuzz.targets.docker.labels import CLOCK_SHIM, RUN, labels_of, new_run
from chaosfuzz.targets.docker.network import create_network
from chaosfuzz.targets.docker.shim import SHIM_PATH
from chaosfuzz.targets.docker.slot import Slot
from chaosfuzz.targets.docker.things import ContainerPlan
from chaosfuzz.targets.postgres import create_runtime_directory
from chaosfuzz.targets.process.tuning import modules_of

DATABASE, HOLDER = "db", "holder"
SERVER_PORT = 8000
LEDGER_PATH = "/ledger"
MEMORY_BYTES = 256 << 20
DATABASE_MEMORY_BYTES = 1024 << 20
VOLUME_MB = 384
CPUS = 1.0
USER = "65534:65534"
_BOOTING = 6


class ContainerSet:
    """Everything a lane has at the engine, by the label of its run; `close` removes it all."""

    def __init__(self, engine: Engine, index: int) -> None:
        self.engine = engine
        self.run = new_run()
        self._index = index
        self._slots: dict[str, Slot] = {}
        with ExitStack() as undo:
            self.image = find_or_build(engine)
            self._has_shim = CLOCK_SHIM in engine.image_labels(self.image)
            self.directory = create_runtime_directory(f"docker lane {index}")
            undo.callback(shutil.rmtree, self.directory, ignore_errors=True)
            self.ledgers = self._shared("ledger")
            self.sockets = self._shared("postgres")
            self.events = EventStream(engine, f"{RUN}={self.run}")
            undo.callback(self.events.close)
            self._booting = undo.enter_context(ThreadPoolExecutor(_BOOTING, "boot"))
            self.network = create_network(engine, self.run, self._name("net"))
            undo.callback(engine.remove_network, self.network.identity)
            self.volume = self._name("data")
            engine.create_volume(self.volume, VOLUME_MB, labels_of(self.run, "volume"))
            undo.callback(engine.remove_volume, self.volume)
            undo.callback(self._remove_containers)
            # Whoever uses the volume last takes what is in it along.
            self.holder = self._hold_volume()
            self.cluster = ContainerCluster(
                self.slot(DATABASE), self.sockets, self.network.gateway, postgres_major()
            )
            undo.callback(self.cluster.close)
            self._undo = undo.pop_all()

    def slot(self, component: str) -> Slot:
        """Return the containers of a component, made if there are none yet."""
        found = self._slots.get(component)
        if found is None:
            found = self._slots[component] = Slot(partial(self._make, component))
        return found

    def container(self, component: str) -> Container:
        """Return the container of a component that is in use."""
        return self.slot(component).current

    def containers(self) -> tuple[Container, ...]:
        """Return all there are."""
        return tuple(each for slot in tuple(self._slots.values()) for each in slot.containers)

    def write_logs(self, directory: Path) -> None:
        """Keep what the containers have said."""
        for container in self.containers():
            text = self.engine.logs(container.identity)
            (directory / f"{container.directory.name}.log").write_text(text, encoding="utf-8")

    def close(self) -> None:
        """Remove everything."""
        self._undo.close()

    def _shared(self, name: str) -> Path:
        """Make a directory that containers and this machine share."""
        directory = self.directory / name
        directory.mkdir()
        # The containers' user is nobody in particular.
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
            aliases=[component],
        )
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
                environment=self._clock_environment(),
            )
        directory = self.directory / f"{component}{turn}"
        directory.mkdir()
        (directory / "clock").write_bytes(bytes(8))
        return Container(self.engine, self.events, plan, directory, self._booting)

    def _clock_environment(self) -> dict[str, str]:
        if not self._has_shim:
            return {}
        return {"LD_PRELOAD": SHIM_PATH, "CHAOSFUZZ_CLOCK": f"{GATE_DIRECTORY}/clock"}

    def _hold_volume(self) -> str:
        plan = self._plan(HOLDER)
        plan = replace(plan, command=[*plan.command, "hold"], volumes={self.volume: VOLUME_PATH})
        identity = self.engine.create(plan)
        self.engine.start(identity)
        return identity

    def _remove_containers(self) -> None:
        with ThreadPoolExecutor(_BOOTING, "removal") as pool:
            closing = [pool.submit(each.close) for each in self.containers()]
            closing += [pool.submit(self.engine.remove, self.holder)] if self._has_holder() else []
        for future in closing:
            future.result()

    def _has_holder(self) -> bool:
        return hasattr(self, "holder")
