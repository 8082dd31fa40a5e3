"""One fresh start of a compose project's server and workers, behind a proxy."""

import time
from collections.abc import Sequence
from dataclasses import replace

from chaosfuzz.domain.moment import CLIENT
from chaosfuzz.domain.task import Execution
from chaosfuzz.domain.wire import Wire
from chaosfuzz.targets.components import SERVER, ContainerPlace, Process, ServerPlace
from chaosfuzz.targets.compose.containers import ComposeContainers, ComposeProcess
from chaosfuzz.targets.compose.database import ComposeDatabase
from chaosfuzz.targets.docker import netns
from chaosfuzz.targets.docker.network_faults import NetworkFaults, PutBack
from chaosfuzz.targets.ledger import Ledger
from chaosfuzz.targets.profiles.launching import Launcher
from chaosfuzz.targets.profiles.model import ComposeProfile
from chaosfuzz.targets.profiles.system import ProfileSystem
from chaosfuzz.targets.restarting import ENGINE_DELAY_S, Restarts

_HOSTNAME_LENGTH = 12
FIRST_REQUEST_TIMEOUT_S = 20.0
_POLL_S = 0.02


class ComposeSystem(NetworkFaults, ProfileSystem):
    """A profile's system whose components are containers of a compose project.

    What goes from a container to the database's port is led to the proxy by a rule in the
    container's own network: image and file stay as they are.
    """

    def __init__(
        self,
        containers: ComposeContainers,
        compose: ComposeProfile,
        *,
        launcher: Launcher,
        database: ComposeDatabase,
        ledger: Ledger,
        workers: int,
        wire: Wire,
    ) -> None:
        self._containers = containers
        self._compose = compose
        self._compose_wire = wire
        self._compose_database = database
        self._lives: dict[str, list[tuple[int, ComposeProcess]]] = {}
        self.begin_network_faults(compose.server_port)
        super().__init__(
            launcher=launcher,
            database=database,
            address=database.address(),
            ledger=ledger,
            workers=workers,
            wire=wire,
        )
        self._restarts = Restarts(self._containers.restart, first_delay_s=ENGINE_DELAY_S)

    def launch(self, component: str) -> Process:
        """Start the component's container, its way to the database by the proxy."""
        service, number = self._service(component)
        began_ns = time.monotonic_ns()
        process = self._containers.start(service, number)
        way = self._compose_wire.route(component, self._compose_database.upstream)
        to = f"{self._compose_wire.host}:{way}"
        netns.redirect(process.pid, self._compose.database_port, to)
        self._lives.setdefault(component, []).append((began_ns, process))
        return process

    def await_ready(self, component: str, process: Process) -> None:
        """Wait until the engine finds it healthy; in an outage it may never be."""
        assert isinstance(process, ComposeProcess), process
        if self._compose_database.is_running:
            self._containers.await_well(process, self._compose.up_timeout_s)
            self._await_first_request(component, process)
        if component == SERVER and self._place is not None:
            # The address may be another after a start.
            place = self._place = self.find_server()
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

    def disconnect(self, component: str) -> PutBack:
        """Take a container off the first of its networks."""
        process, engine = self._children[component], self._containers.engine
        assert isinstance(process, ComposeProcess), process
        identity = process.identity
        place = engine.place(identity)
        engine.disconnect(place.network, identity)
        return lambda: engine.connect_again(place, identity)

    def end(self) -> None:
        """Put every container back on its networks, then end the rest."""
        self.end_network_faults()
        super().end()

    def find_server(self) -> ServerPlace:
        """Say where the HTTP server is to be found: its address may be another after a start."""
        assert self._compose.server is not None
        thing = self._containers.thing(self._compose.server, 1)
        address = self._containers.engine.place(thing.identity).address
        return ContainerPlace(host=str(address or ""), number=self._compose.server_port)

    def _service(self, component: str) -> tuple[str, int]:
        if component == SERVER:
            assert self._compose.server is not None
            return self._compose.server, 1
        return self._compose.worker, int(component.rpartition("-")[2])

    def _collect(self, component: str) -> None:
        was_there = component in self._children
        super()._collect(component)
        if was_there and component not in self._children:
            self.network_is_gone(component)

    def _told_apart(self, execution: Execution) -> Execution:
        for component, lives in self._lives.items():
            if lives[0][1].identity[:_HOSTNAME_LENGTH] == execution.component[:_HOSTNAME_LENGTH]:
                pid = next(
                    (p.pid for began_ns, p in reversed(lives) if began_ns <= execution.start_ns),
                    lives[0][1].pid,
                )
                return replace(execution, component=component, pid=pid)
        return execution
