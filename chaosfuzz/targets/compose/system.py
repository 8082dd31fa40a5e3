"""One fresh start of a compose project's server and workers, behind a proxy."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chaosfuzz.domain.moment import CLIENT
from chaosfuzz.domain.task import Execution
from chaosfuzz.domain.wire import Wire
from chaosfuzz.targets.components import SERVER, Process
from chaosfuzz.targets.compose.containers import ComposeProcess, Crew
from chaosfuzz.targets.compose.database import ComposeDatabase
from chaosfuzz.targets.docker import netns
from chaosfuzz.targets.docker.things import Place
from chaosfuzz.targets.profiles.launching import Launcher
from chaosfuzz.targets.profiles.ledger import ProfileLedger
from chaosfuzz.targets.profiles.model import ComposeProfile
from chaosfuzz.targets.profiles.system import ProfileSystem
from chaosfuzz.targets.restarting import ENGINE_DELAY_S, Restarts
from chaosfuzz.targets.seams import ServerPlace

_HOSTNAME_LENGTH = 12
FIRST_REQUEST_TIMEOUT_S = 20.0
_POLL_S = 0.02


@dataclass(frozen=True, kw_only=True)
class ServiceAddress:
    """Where a service's container listens (implements ServerPlace)."""

    host: str
    number: int

    def close(self) -> None:
        """The address is the container's."""


class ComposeSystem(ProfileSystem):
    """A profile's system whose components are containers of a compose project.

    What goes from a container to the database's port is led to the proxy by a rule in the
    container's own network: image and file stay as they are.
    """

    def __init__(
        self,
        crew: Crew,
        compose: ComposeProfile,
        *,
        launcher: Launcher,
        database: ComposeDatabase,
        ledger: Path,
        workers: int,
        wire: Wire,
    ) -> None:
        self._crew = crew
        self._compose = compose
        self._compose_wire = wire
        self._compose_database = database
        self._lives: dict[str, list[tuple[int, ComposeProcess]]] = {}
        self._off: dict[str, tuple[ComposeProcess, Place]] = {}
        self._filtered: set[str] = set()
        super().__init__(
            launcher=launcher,
            database=database,
            address=database.address(),
            ledger=ledger,
            workers=workers,
            wire=wire,
        )
        self._restarts = Restarts(self._crew.restart, first_delay_s=ENGINE_DELAY_S)
        # Pids in the ledger are those inside containers; who has died is told by their ends.
        self._ledger = ProfileLedger(ledger, lambda _pid: True)

    def launch(self, component: str) -> Process:
        """Start the component's container, its way to the database by the proxy."""
        service, number = self._service(component)
        began_ns = time.monotonic_ns()
        process = self._crew.start(service, number)
        way = self._compose_wire.route(component, self._compose_database.upstream)
        to = f"{self._compose_wire.host}:{way}"
        netns.redirect(process.pid, self._compose.database_port, to)
        self._lives.setdefault(component, []).append((began_ns, process))
        return process

    def await_ready(self, component: str, process: Process) -> None:
        """Wait until the engine finds it healthy; in an outage it may never be."""
        assert isinstance(process, ComposeProcess), process
        if self._compose_database.is_running:
            self._crew.await_well(process, self._compose.up_timeout_s)
            self._await_first_request(component, process)
        if component == SERVER and self._reserved is not None:
            # The address may be another after a start.
            place = self._reserved = self._place_of_server()
            creation = self.profile.creation
            if creation is not None and creation.http is not None:
                self._compose_wire.route_http(CLIENT, place.number, place.host)

    def _await_first_request(self, component: str, process: ComposeProcess) -> None:
        """Wait until a worker asks the database something, as the file need not say when it works.

        One that never does is no reason to give up: it may have nothing to ask.
        """
        began_ns = self._lives[component][-1][0]
        deadline = time.monotonic() + FIRST_REQUEST_TIMEOUT_S
        while component != SERVER and time.monotonic() < deadline and process.exit_code is None:
            requests = self._compose_wire.requests()
            if any(each.component == component and each.at_ns >= began_ns for each in requests):
                return
            time.sleep(_POLL_S)

    def executions(self) -> Sequence[Execution]:
        """Read the ledger: hostnames are containers, and pids are told apart by their lives."""
        return tuple(map(self._told_apart, super().executions()))

    def last_words(self, component: str) -> str:
        """Return what a container that ended by itself has said last."""
        process = self._children[component]
        assert isinstance(process, ComposeProcess), process
        return process.last_words

    def start_database(self) -> bool:
        """Start PostgreSQL; its address may be another, which the proxy has to know."""
        started = super().start_database()
        if started:
            for component in self._lives:
                self._compose_wire.route(component, self._compose_database.upstream)
        return started

    def unplug(self, component: str) -> bool:
        """Take a container off the first of its networks."""
        with self._lock:
            process = self._children.get(component)
            if not isinstance(process, ComposeProcess) or component in self._off:
                return False
            place = self._crew.engine.place(process.identity)
            self._crew.engine.disconnect(place.network, process.identity)
            self._off[component] = (process, place)
        return True

    def plug(self, component: str) -> bool:
        """Put it on again, at the address it had if that can be."""
        with self._lock:
            process, place = self._off.pop(component, (None, None))
            if process is None or place is None or place.address is None:
                return False
            self._crew.engine.connect_again(place, process.identity)
            self._compose_wire.cut(component)
        return True

    def partition(self, component: str, peer: str) -> bool:
        """Drop every packet between a container and the proxy, hence the database."""
        with self._lock:
            if component not in self._running():
                return False
            port = self._compose.server_port if component == SERVER else None
            netns.drop(
                self._children[component].pid,
                self._compose_wire.host,
                port=port,
                all_but=peer != "clients",
            )
            self._filtered.add(component)
        return True

    def lose_packets(self, component: str, percent: int) -> bool:
        """Drop packets at random."""
        with self._lock:
            if component not in self._running():
                return False
            netns.lose(self._children[component].pid, percent)
            self._filtered.add(component)
        return True

    def stop_filtering(self, component: str) -> bool:
        """Drop nothing any more."""
        with self._lock:
            if component not in self._filtered or component not in self._running():
                return False
            self._filtered.discard(component)
            netns.drop_nothing(self._children[component].pid)
            self._compose_wire.cut(component)
        return True

    def reset_connections(self, component: str) -> bool:
        """Reset all open connections."""
        with self._lock:
            running = component in self._running()
            return running and netns.reset(self._children[component].pid)

    def close(self) -> None:
        """Kill server and workers; the database stays up."""
        for component in tuple(self._off):
            self.plug(component)
        super().close()

    def _place_of_server(self) -> ServerPlace:
        assert self._compose.server is not None
        thing = self._crew.thing(self._compose.server, 1)
        address = self._crew.engine.place(thing.identity).address
        return ServiceAddress(host=str(address or ""), number=self._compose.server_port)

    def _service(self, component: str) -> tuple[str, int]:
        if component == SERVER:
            assert self._compose.server is not None
            return self._compose.server, 1
        return self._compose.worker, int(component.rpartition("-")[2])

    def _collect(self, component: str) -> None:
        was_there = component in self._children
        super()._collect(component)
        if was_there and component not in self._children:
            # Rules are gone with its network; it comes back on all it was on.
            self._filtered.discard(component)
            self.plug(component)

    def _told_apart(self, execution: Execution) -> Execution:
        for component, lives in self._lives.items():
            if lives[0][1].identity[:_HOSTNAME_LENGTH] == execution.component[:_HOSTNAME_LENGTH]:
                pid = next(
                    (p.pid for began_ns, p in reversed(lives) if began_ns <= execution.start_ns),
                    lives[0][1].pid,
                )
                return replace(execution, component=component, pid=pid)
        return execution
