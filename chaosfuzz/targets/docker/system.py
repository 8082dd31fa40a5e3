"""One fresh copy of the reference system in containers that are kept warm."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.domain.target import Exit
from chaosfuzz.domain.wire import Wire
from chaosfuzz.targets.components import EXIT_TIMEOUT_S, SERVER
from chaosfuzz.targets.docker.container import ContainerProcess
from chaosfuzz.targets.docker.orders import Program
from chaosfuzz.targets.docker.rack import LEDGER_PATH, SERVER_PORT, Rack
from chaosfuzz.targets.docker.starvation import Starvation
from chaosfuzz.targets.docker.suffering import Suffering
from chaosfuzz.targets.keeper.process_tree import children_of
from chaosfuzz.targets.process.system import ReferenceSystem
from chaosfuzz.targets.process.tuning import Tuning, entry_of
from chaosfuzz.targets.process.users import Users
from chaosfuzz.targets.restarting import ENGINE_DELAY_S, Restarts


@dataclass(frozen=True, kw_only=True)
class ContainerAddress:
    """Where a server in a container listens (implements ServerPlace)."""

    host: str
    number: int = SERVER_PORT

    def close(self) -> None:
        """The address is the container's."""


def _place(rack: Rack) -> ContainerAddress:
    """Return where the server listens that is in use now."""
    address = rack.container(SERVER).plan.address
    assert address is not None
    return ContainerAddress(host=str(address))


class DockerSystem(ReferenceSystem):
    """The reference system whose components are containers.

    To be killed is to die with the whole container, which is booted again at once: what starts
    later finds it up, its modules imported. At the end of a schedule programs are ended and
    containers kept.
    """

    def __init__(
        self,
        rack: Rack,
        *,
        database: str,
        tuning: Tuning,
        users: Users,
        workers: int,
        wire: Wire,
    ) -> None:
        self._rack = rack
        self._suffering = Suffering(rack)
        self._starvation = Starvation()
        self._pids: set[int] = set()
        super().__init__(
            spawn=self._spawn_in_container,
            cluster=rack.cluster,
            database=database,
            directory=rack.ledgers,
            tuning=tuning,
            users=users,
            workers=workers,
            wire=wire,
            place=_place(rack),
        )
        self._restarts = Restarts("never", first_delay_s=ENGINE_DELAY_S)

    afterwards: Callable[[], None] | None = None
    """What is done once the system has been closed."""

    def close(self) -> None:
        """End what runs; containers that live are kept."""
        try:
            self._end()
        finally:
            if self.afterwards is not None:
                self.afterwards()

    def _end(self) -> None:
        with self._lock:
            self._suffering.end()
            for name, child in self._processes().items():
                self._ordered.add(name)
                if child.retire():
                    del self._children[name]
        super().close()

    def exits(self) -> Sequence[Exit]:
        """Return what ended; raises InfrastructureError if the kernel killed for memory."""
        gone = super().exits()
        if self._starvation.is_due(time.monotonic_ns()):
            self._starvation.look(self._prompt_pids())
        for container in self._rack.containers():
            container.check_memory()
        return gone

    def starved(self) -> Sequence[tuple[int, int]]:
        """Return when components had to wait for a processor for long."""
        return tuple(self._starvation.spans)

    def start_database(self) -> bool:
        """Start PostgreSQL; not while there is no disk for it."""
        return not self._suffering.disk_is_full and super().start_database()

    def unplug(self, component: str) -> bool:
        """Take a container off the network."""
        with self._lock:
            return component in self._running() and self._suffering.unplug(component)

    def plug(self, component: str) -> bool:
        """Put it on again, at the same address."""
        with self._lock:
            return self._back_again(component, done=self._suffering.plug(component))

    def partition(self, component: str, peer: str) -> bool:
        """Drop every packet between a container and its peer."""
        with self._lock:
            return component in self._running() and self._suffering.partition(component, peer)

    def lose_packets(self, component: str, percent: int) -> bool:
        """Drop packets at random."""
        with self._lock:
            return component in self._running() and self._suffering.lose_packets(component, percent)

    def stop_filtering(self, component: str) -> bool:
        """Drop nothing any more."""
        with self._lock:
            return self._back_again(component, done=self._suffering.stop_filtering(component))

    def reset_connections(self, component: str) -> bool:
        """Reset all open connections of a container."""
        with self._lock:
            return component in self._running() and self._suffering.reset_connections(component)

    def limit_cpu(self, component: str, percent: int) -> bool:
        """Give a container less of a processor."""
        with self._lock:
            return component in self._running() and self._suffering.limit_cpu(component, percent)

    def limit_memory(self, component: str, megabytes: int) -> bool:
        """Leave a container little memory."""
        with self._lock:
            spare = megabytes << 20
            return component in self._running() and self._suffering.limit_memory(component, spare)

    def lift_limits(self, component: str) -> bool:
        """Give a container what it had."""
        with self._lock:
            return self._suffering.lift_limits(component)

    def exhaust_memory(self, component: str) -> bool:
        """Have the kernel kill a container for lack of memory."""
        with self._lock:
            child = self._children.get(component)
            if child is None or child.exit_code is not None:
                return False
            self._ordered.add(component)
            self._suffering.exhaust_memory(component)
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
            return self._suffering.fill_disk()

    def free_disk(self) -> bool:
        """Give the space back."""
        with self._lock:
            return self._suffering.free_disk()

    def skew_clock(self, component: str, ms: int) -> bool:
        """Set a container's wall clock ahead."""
        with self._lock:
            return component in self._running() and self._suffering.skew_clock(component, ms)

    def pid(self, component: str) -> int:
        """Return the process id on this machine of a component that runs."""
        return self._processes()[component].host_pid

    def last_words(self, component: str) -> str:
        """Return what a container that ended by itself has said last."""
        return self._processes()[component].last_words

    def _processes(self) -> dict[str, ContainerProcess]:
        children = tuple(self._children.items())
        return {name: each for name, each in children if isinstance(each, ContainerProcess)}

    def _host_pids(self) -> list[int]:
        return [process.host_pid for process in self._processes().values()]

    def _prompt_pids(self) -> list[int]:
        """Return the processes that are to be prompt: not those that are slowed on purpose."""
        pids = [
            process.host_pid
            for name, process in self._processes().items()
            if not self._suffering.is_limited(name)
        ]
        postmaster = self._rack.cluster.pid
        return [*pids, *children_of(postmaster)] if postmaster else pids

    def _back_again(self, component: str, *, done: bool) -> bool:
        """End what the database keeps of connections that died unheard, as its keepalive would."""
        if done and self._wire is not None and component in self._running():
            self._wire.cut(component)
        return done

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
        process = self._rack.container(component).run(program)
        self._pids.add(process.pid)
        return process

    def _collect(self, component: str) -> None:
        has_ended = component in self._children
        if self._suffering.is_limited(component):
            # It was left too little on purpose.
            self._ordered.add(component)
        super()._collect(component)
        if not has_ended or component in self._children:
            return
        self._suffering.died(component)
        self._rack.slot(component).swap()
        if component == SERVER:
            # Nobody answers at the address of a container that is down, not even to refuse.
            self._rack.container(component).booted()
            self._move(_place(self._rack))
