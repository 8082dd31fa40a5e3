"""The reference system: a server, workers and their database."""

import json
from collections.abc import Callable
from functools import partial
from typing import Protocol, runtime_checkable

from chaosfuzz.domain.breaker import Breaker, BreakerTransition
from chaosfuzz.domain.contract import Guarantee
from chaosfuzz.domain.history import Health
from chaosfuzz.domain.moment import CLIENT
from chaosfuzz.domain.task import TaskState
from chaosfuzz.domain.wire import Wire
from chaosfuzz.targets.components import SERVER, Process, ServerPlace
from chaosfuzz.targets.http_calls import HttpCalls
from chaosfuzz.targets.keeper.process_tree import resident_bytes
from chaosfuzz.targets.ledger import Ledger
from chaosfuzz.targets.postgres import ReservedPort
from chaosfuzz.targets.postgres.database import READY_TIMEOUT_S, Address, Database
from chaosfuzz.targets.postgres.system import PostgresSystem
from chaosfuzz.targets.process.client import ApiClient
from chaosfuzz.targets.process.observer import QueueObserver
from chaosfuzz.targets.process.tuning import Tuning
from chaosfuzz.targets.process.users import Users


@runtime_checkable
class AnnouncingProcess(Process, Protocol):
    """A component's process that announces when it is ready."""

    def wait_ready(self, timeout_s: float) -> None:
        """Wait until it is ready; raise InfrastructureError if it is not within `timeout_s`."""
        ...


Spawn = Callable[[str, str], AnnouncingProcess]
"""Starts a component by its name, with its settings as JSON."""


class ReferenceSystem(PostgresSystem):
    """Implements System and the abilities of the reference system; `spawn` starts components.

    The constructor starts the server and the workers. The server listens at `place`, by default
    on a port of this machine. Without a wire, clients and components reach server and database
    directly.
    """

    def __init__(
        self,
        *,
        spawn: Spawn,
        database: Database,
        address: Address,
        ledger: Ledger,
        tuning: Tuning,
        users: Users,
        workers: int,
        wire: Wire | None = None,
        place: ServerPlace | None = None,
    ) -> None:
        place = place or ReservedPort(tuning.port)
        super().__init__(database=database, address=address, ledger=ledger, wire=wire, place=place)
        self._spawn = spawn
        self._tuning = tuning
        self._users = users
        self._port = place.number
        self.contract = tuning.contract
        self.dsn = address.harness_dsn
        effects = tuning.contract.guarantee is Guarantee.EXACTLY_ONCE_EFFECT
        self._observer = QueueObserver(self._session, effects=effects)
        self.find_server_at(place)
        if wire is not None:
            wire.begin()
        self.start_components([SERVER, *(f"worker-{slot}" for slot in range(1, workers + 1))])

    def find_server_at(self, place: ServerPlace) -> None:
        """Send all later requests to the server at an address and port.

        The client's requests go through the proxy if there is one. Those of the harness (`ask` and
        health) go past it, so no fault at a client's request touches them.
        """
        self._place = place
        self.base_url = f"http://{place.host}:{place.number}"
        timeout_s = self.contract.request_timeout_ms / 1000
        calls = HttpCalls(place.number, timeout_s, host=place.host)
        self._harness = client = ApiClient(calls, self._users)
        if self._wire is not None:
            port = self._wire.route_http(CLIENT, place.number, place.host)
            refused = partial(self._wire.has_refused, CLIENT)
            calls = HttpCalls(port, timeout_s, refused, self._wire.host)
            client = ApiClient(calls, self._users)
        self.create, self.cancel, self.retry = client.create, client.cancel, client.retry
        self.inquire, self.ask = client.inquire, self._harness.ask

    def read_tasks(self) -> tuple[TaskState, ...] | None:
        """Return all tasks, oldest first; None while the database cannot be reached."""
        return self._observer.tasks()

    def read_breakers(
        self, *, readable: bool
    ) -> tuple[tuple[Breaker, ...], tuple[BreakerTransition, ...]]:
        """See QueueObserver.breakers."""
        return self._observer.breakers(readable=readable)

    def begin_health(self) -> Callable[[], Health]:
        """Ask the server for its health, past the proxy; the returned function waits."""
        return self._harness.ask_health()

    def memory_bytes(self) -> int:
        """Return the resident memory of server and workers in bytes."""
        return sum(resident_bytes(pid) for pid in self.host_pids())

    def launch(self, component: str) -> Process:
        """Start a component with its settings as JSON."""
        settings = self._tuning.settings(
            dsn=self.address_of(component).url(component),
            component=component,
            port=self._port,
            ledger_path=self._ledger.path,
        )
        return self._spawn(component, json.dumps(settings))

    def await_ready(self, component: str, process: Process) -> None:
        """Wait until the process is ready; raise InfrastructureError if it is not within 15 s."""
        assert isinstance(process, AnnouncingProcess), process
        process.wait_ready(READY_TIMEOUT_S)

    def host_pids(self) -> list[int]:
        """Return the pids of all components on this machine."""
        return [child.pid for child in tuple(self._children.values())]
