"""One fresh start of a compose project's server and workers, behind a proxy."""

import time
from collections.abc import Sequence
from dataclasses import replace

from chaosfuzz.domain.moment import CLIENT
from chaosfuzz.domain.task import Execution
from chaosfuzz.domain.wire import Wire
from chaosfuzz.targets.components import SERVER, Process, ServerPlace
from chaosfuzz.targets.compose.database import ComposeDatabase
from chaosfuzz.targets.compose.project import Project
from chaosfuzz.targets.docker import netns
from chaosfuzz.targets.docker.network_faults import NetworkFaults
from chaosfuzz.targets.docker.process import ContainerProcess
from chaosfuzz.targets.ledger import Ledger
from chaosfuzz.targets.profiles.launching import Launcher
from chaosfuzz.targets.profiles.model import ComposeProfile
from chaosfuzz.targets.profiles.system import ProfileSystem
from chaosfuzz.targets.restarting import ENGINE_DELAY_S, Restarts

# A container's host name is the beginning of its id.
_HOSTNAME_LENGTH = 12
# Chosen by hand: an interpreter and its imports take seconds on a busy machine.
FIRST_REQUEST_TIMEOUT_S = 20.0
_POLL_S = 0.02


class ComposeSystem(NetworkFaults, ProfileSystem):
    """A profile's system whose components are containers of a compose project.

    A rule in the network of each container redirects connections to the database's port to the
    proxy: image and file stay as they are.
    """

    def __init__(
        self,
        project: Project,
        compose: ComposeProfile,
        *,
        launcher: Launcher,
        database: ComposeDatabase,
        ledger: Ledger,
        workers: int,
        wire: Wire,
    ) -> None:
        self._project = project
        self._compose = compose
        self._compose_wire = wire
        self._compose_database = database
        # When each container of a component was started, in monotonic nanoseconds.
        self._lives: dict[str, list[tuple[int, ContainerProcess]]] = {}
        self.begin_network_faults(project.engine, compose.server_port)
        super().__init__(
            launcher=launcher,
            database=database,
            address=database.address(),
            ledger=ledger,
            workers=workers,
            wire=wire,
        )
        self._restarts = Restarts(project.restart, first_delay_s=ENGINE_DELAY_S)

    def launch(self, component: str) -> Process:
        """Start the component's container, and redirect it to the proxy."""
        began_ns = time.monotonic_ns()
        process = self._project.start(*self._service(component))
        port = self._compose_wire.route(component, self._compose_database.upstream)
        to = f"{self._compose_wire.host}:{port}"
        netns.redirect(process.pid, self._compose.database_port, to)
        self._lives.setdefault(component, []).append((began_ns, process))
        return process

    def await_ready(self, component: str, process: Process) -> None:
        """Wait until the container is healthy and has asked the database something.

        Does not wait while the database is down, as the container may not become healthy then.

        Raises InfrastructureError if the container is not healthy within the profile's bound.
        """
        if self._compose_database.is_running:
            self.process(component).await_healthy(self._compose.up_timeout_s)
            if component != SERVER:
                self._await_first_request(component)
        if component == SERVER and self._place is not None:
            # The address may change with a start.
            place = self._place = self.find_server()
            creation = self.profile.creation
            if creation is not None and creation.http is not None:
                self._compose_wire.route_http(CLIENT, place.number, place.host)

    def _await_first_request(self, component: str) -> None:
        """Wait until a worker's container has asked the database something since its start.

        Returns after 20 seconds anyway: the worker may have nothing to ask.
        """
        began_ns, process = self._lives[component][-1]
        deadline = time.monotonic() + FIRST_REQUEST_TIMEOUT_S
        while time.monotonic() < deadline and process.exit_code is None:
            requests = self._compose_wire.requests()
            if any(each.component == component and each.at_ns >= began_ns for each in requests):
                return
            time.sleep(_POLL_S)

    def executions(self) -> Sequence[Execution]:
        """Read the ledger; host names become components, and pids those on this machine."""
        return tuple(map(self._translate, super().executions()))

    def start_database(self) -> bool:
        """Start PostgreSQL, and tell the proxy its address, which may have changed."""
        started = super().start_database()
        if started:
            for component in self._lives:
                self._compose_wire.route(component, self._compose_database.upstream)
        return started

    def end(self) -> None:
        """Put every container back on its networks, then end the rest."""
        self.end_network_faults()
        super().end()

    def find_server(self) -> ServerPlace:
        """Return the address of the HTTP server, which may change with a start."""
        thing = self._project.container(*self._service(SERVER))
        address = self._project.engine.place(thing.identity).address
        return ServerPlace(host=str(address or ""), number=self._compose.server_port)

    def _service(self, component: str) -> tuple[str, int]:
        """Return the service of a component, and the number of the component's container in it."""
        if component == SERVER:
            assert self._compose.server is not None
            return self._compose.server, 1
        return self._compose.worker, int(component.rpartition("-")[2])

    def _translate(self, execution: Execution) -> Execution:
        """Replace a host name by its component, and the pid by that of the container's start.

        Handlers write their host names as `component`; inside, each start has the same pids.
        """
        for component, lives in self._lives.items():
            if lives[0][1].identity[:_HOSTNAME_LENGTH] == execution.component[:_HOSTNAME_LENGTH]:
                pid = next(
                    (p.pid for began_ns, p in reversed(lives) if began_ns <= execution.start_ns),
                    lives[0][1].pid,
                )
                return replace(execution, component=component, pid=pid)
        return execution
