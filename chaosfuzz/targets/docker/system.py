"""One fresh copy of the reference system in containers that are kept warm."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

from chaosfuzz.domain.history import ProcessExit
from chaosfuzz.domain.wire import Wire
from chaosfuzz.targets.components import SERVER, ServerPlace
from chaosfuzz.targets.docker.container import GateProcess
from chaosfuzz.targets.docker.container_set import LEDGER_PATH, SERVER_PORT, ContainerSet
from chaosfuzz.targets.docker.orders import Program
from chaosfuzz.targets.docker.resource_faults import ResourceFaults
from chaosfuzz.targets.docker.starvation import Starvation
from chaosfuzz.targets.keeper.process_tree import children_of
from chaosfuzz.targets.ledger import Ledger
from chaosfuzz.targets.postgres.database import Address, Database
from chaosfuzz.targets.process.system import ReferenceSystem
from chaosfuzz.targets.process.tuning import Tuning, entry_of
from chaosfuzz.targets.process.users import Users
from chaosfuzz.targets.restarting import ENGINE_DELAY_S, Restarts


def _place(containers: ContainerSet) -> ServerPlace:
    """Return the address of the server's container that is used now."""
    address = containers.container(SERVER).plan.address
    assert address is not None
    return ServerPlace(host=str(address), number=SERVER_PORT)


class DockerSystem(ResourceFaults, ReferenceSystem):
    """The reference system whose components are containers.

    A killed component's container dies with it and starts again in the background, with its
    modules imported. `end` kills the programs and keeps the containers.
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
        self.begin_faults(containers)
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
        """Heal every fault, kill the programs and keep the containers that live."""
        with self._lock:
            self.end_faults()
            for name, process in self._processes().items():
                self._ordered.add(name)
                if process.end_program():
                    del self._children[name]
        super().end()

    def exits(self) -> Sequence[ProcessExit]:
        """Return the components that ended since the last call.

        Raises InfrastructureError if the kernel killed something for lack of memory without a step.
        """
        gone = super().exits()
        self._starvation.look(self._prompt_pids, time.monotonic_ns())
        for container in self._containers.containers():
            container.check_memory()
        return gone

    def starved(self) -> Sequence[tuple[int, int]]:
        """Return the spans (began, ended), in nanoseconds, with a long wait for a processor."""
        return tuple(self._starvation.spans)

    def start_database(self) -> bool:
        """Start PostgreSQL; False if it runs or its disk is full."""
        return not self._disk_is_full and super().start_database()

    def pid(self, component: str) -> int:
        """Return the process id on this machine of a component that runs."""
        return self._processes()[component].host_pid

    def host_pids(self) -> list[int]:
        """Return the pids of all components on this machine."""
        return [process.host_pid for process in self._processes().values()]

    def container_ended(self, component: str) -> None:
        """Heal the faults of a container that ended, and put its twin in its place."""
        super().container_ended(component)
        self._containers.pair(component).swap()
        if component == SERVER:
            # The address of a container that is down does not even refuse, so wait for the twin.
            self._containers.container(component).booted()
            self.find_server_at(_place(self._containers))

    def _processes(self) -> dict[str, GateProcess]:
        children = tuple(self._children.items())
        return {name: each for name, each in children if isinstance(each, GateProcess)}

    def _prompt_pids(self) -> list[int]:
        """Return the processes of the database and of components without limits."""
        pids = [
            process.host_pid
            for name, process in self._processes().items()
            if name not in self._limited
        ]
        postmaster = self._containers.cluster.pid
        return [*pids, *children_of(postmaster)] if postmaster else pids

    def _spawn_in_container(self, component: str, settings: str) -> GateProcess:
        changed = json.loads(settings)
        changed["host"] = "0.0.0.0"
        changed["ledger_path"] = f"{LEDGER_PATH}/{Path(changed['ledger_path']).name}"
        program = Program(
            entry=entry_of(component),
            argument=json.dumps(changed),
            # In the ledger a pid names one process of the run, in whichever container it was.
            avoid=frozenset(self._pids),
        )
        process = self._containers.container(component).run(program)
        self._pids.add(process.pid)
        return process

    def _collect(self, component: str) -> None:
        if component in self._limited:
            # A step caused a death for lack of memory.
            self._ordered.add(component)
        super()._collect(component)
