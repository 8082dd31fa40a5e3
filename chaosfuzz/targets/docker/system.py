"""One fresh copy of the reference system in containers that are kept warm."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.domain.history import ProcessExit
from chaosfuzz.domain.wire import Wire
from chaosfuzz.targets.components import EXIT_TIMEOUT_S, SERVER, ContainerPlace
from chaosfuzz.targets.docker.active_faults import ActiveFaults
from chaosfuzz.targets.docker.container import ContainerProcess
from chaosfuzz.targets.docker.container_set import LEDGER_PATH, SERVER_PORT, ContainerSet
from chaosfuzz.targets.docker.network_faults import NetworkFaults, PutBack
from chaosfuzz.targets.docker.orders import Program
from chaosfuzz.targets.docker.starvation import Starvation
from chaosfuzz.targets.keeper.process_tree import children_of
from chaosfuzz.targets.ledger import Ledger
from chaosfuzz.targets.postgres.database import Address, Database
from chaosfuzz.targets.process.system import ReferenceSystem
from chaosfuzz.targets.process.tuning import Tuning, entry_of
from chaosfuzz.targets.process.users import Users
from chaosfuzz.targets.restarting import ENGINE_DELAY_S, Restarts


def _place(containers: ContainerSet) -> ContainerPlace:
    """Return where the server listens that is in use now."""
    address = containers.container(SERVER).plan.address
    assert address is not None
    return ContainerPlace(host=str(address), number=SERVER_PORT)


class DockerSystem(NetworkFaults, ReferenceSystem):
    """The reference system whose components are containers.

    To be killed is to die with the whole container, which is booted again at once: what starts
    later finds it up, its modules imported. At the end of a schedule programs are ended and
    containers kept.
    """

    def __init__(
        self,
        containers: ContainerSet,
        *,
        database: Database,
        address: Address,
        ledger: Ledger,
        tuning: Tuning,
        users: Users,
        workers: int,
        wire: Wire | None,
    ) -> None:
        self._containers = containers
        self.begin_network_faults(SERVER_PORT)
        self._faults = ActiveFaults(containers)
        self._starvation = Starvation()
        self._pids: set[int] = set()
        super().__init__(
            spawn=self._spawn_in_container,
            database=database,
            address=address,
            ledger=ledger,
            tuning=tuning,
            users=users,
            workers=workers,
            wire=wire,
            place=_place(containers),
        )
        self._restarts = Restarts("never", first_delay_s=ENGINE_DELAY_S)

    def end(self) -> None:
        """End what runs; containers that live are kept."""
        with self._lock:
            self.end_network_faults()
            self._faults.end()
            for name, child in self._processes().items():
                self._ordered.add(name)
                if child.retire():
                    del self._children[name]
        super().end()

    def exits(self) -> Sequence[ProcessExit]:
        """Return what ended; raises InfrastructureError if the kernel killed for memory."""
        gone = super().exits()
        if self._starvation.is_due(time.monotonic_ns()):
            self._starvation.look(self._prompt_pids())
        for container in self._containers.containers():
            container.check_memory()
        return gone

    def starved(self) -> Sequence[tuple[int, int]]:
        """Return when components had to wait for a processor for long."""
        return tuple(self._starvation.spans)

    def start_database(self) -> bool:
        """Start PostgreSQL; not while there is no disk for it."""
        return not self._faults.disk_is_full and super().start_database()

    def disconnect(self, component: str) -> PutBack:
        """Take a container off the lane's network."""
        container, containers = self._containers.container(component), self._containers
        containers.engine.disconnect(containers.network.identity, container.identity)

        def put_back() -> None:
            address = container.plan.address
            assert address is not None
            aliases = container.plan.aliases
            containers.engine.connect(
                containers.network.identity, container.identity, address, aliases
            )

        return put_back

    def limit_cpu(self, component: str, percent: int) -> bool:
        """Give a container less of a processor."""
        with self._lock:
            return component in self._running() and self._faults.limit_cpu(component, percent)

    def limit_memory(self, component: str, megabytes: int) -> bool:
        """Leave a container little memory."""
        with self._lock:
            spare = megabytes << 20
            return component in self._running() and self._faults.limit_memory(component, spare)

    def lift_limits(self, component: str) -> bool:
        """Give a container what it had."""
        with self._lock:
            return self._faults.lift_limits(component)

    def exhaust_memory(self, component: str) -> bool:
        """Have the kernel kill a container for lack of memory."""
        with self._lock:
            child = self._children.get(component)
            if child is None or child.exit_code is not None:
                return False
            self._ordered.add(component)
            self._faults.exhaust_memory(component)
            if child.wait(EXIT_TIMEOUT_S) is None:
                raise InfrastructureError(
                    cause=(
                        f"the kernel has not killed {component} within {EXIT_TIMEOUT_S:g} s, "
                        "although it takes all its memory"
                    ),
                    remedy=(
                        "turn swap off for containers, or leave out exhaust_memory; chaosfuzz "
                        "doctor says what containers can do here"
                    ),
                )
            if self._wire is not None:
                self._wire.cut(component)
            self._collect(component)
        return True

    def fill_disk(self) -> bool:
        """Leave the database no space."""
        with self._lock:
            return self._faults.fill_disk()

    def free_disk(self) -> bool:
        """Give the space back."""
        with self._lock:
            return self._faults.free_disk()

    def skew_clock(self, component: str, ms: int) -> bool:
        """Set a container's wall clock ahead."""
        with self._lock:
            return component in self._running() and self._faults.skew_clock(component, ms)

    def pid(self, component: str) -> int:
        """Return the process id on this machine of a component that runs."""
        return self._processes()[component].host_pid

    def last_words(self, component: str) -> str:
        """Return what a container that ended by itself has said last."""
        return self._processes()[component].last_words

    def _processes(self) -> dict[str, ContainerProcess]:
        children = tuple(self._children.items())
        return {name: each for name, each in children if isinstance(each, ContainerProcess)}

    def host_pids(self) -> list[int]:
        """Return the pids of all components on this machine."""
        return [process.host_pid for process in self._processes().values()]

    def _prompt_pids(self) -> list[int]:
        """Return the processes that are to be prompt: not those that are slowed on purpose."""
        pids = [
            process.host_pid
            for name, process in self._processes().items()
            if not self._faults.is_limited(name)
        ]
        postmaster = self._containers.cluster.pid
        return [*pids, *children_of(postmaster)] if postmaster else pids

    def _spawn_in_container(self, component: str, settings: str) -> ContainerProcess:
        changed = json.loads(settings)
        changed["host"] = "0.0.0.0"
        changed["ledger_path"] = f"{LEDGER_PATH}/{Path(changed['ledger_path']).name}"
        program = Program(
            entry=entry_of(component),
            argument=json.dumps(changed),
            # A pid names one process of the run, whichever container it is in.
            avoid=frozenset(self._pids),
        )
        process = self._containers.container(component).run(program)
        self._pids.add(process.pid)
        return process

    def _collect(self, component: str) -> None:
        has_ended = component in self._children
        if self._faults.is_limited(component):
            # It was left too little on purpose.
            self._ordered.add(component)
        super()._collect(component)
        if not has_ended or component in self._children:
            return
        self.network_is_gone(component)
        self._faults.died(component)
        self._containers.slot(component).swap()
        if component == SERVER:
            # Nobody answers at the address of a container that is down, not even to refuse.
            self._containers.container(component).booted()
            self.move(_place(self._containers))
