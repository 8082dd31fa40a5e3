"""One fresh copy of the reference system: server, workers and their database."""

import json
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from chaosfuzz.domain.breaker import Breaker, BreakerTransition
from chaosfuzz.domain.contract import Contract, Guarantee
from chaosfuzz.domain.history import Health, InquiryKind
from chaosfuzz.domain.outcome import Reply
from chaosfuzz.domain.task import TaskRequest, TaskState
from chaosfuzz.domain.wire import Wire
from chaosfuzz.targets.components import SERVER, Process, ServerPlace
from chaosfuzz.targets.keeper.process_tree import resident_bytes
from chaosfuzz.targets.ledger import Ledger
from chaosfuzz.targets.postgres import ReservedPort
from chaosfuzz.targets.postgres.database import READY_TIMEOUT_S, Address, Database
from chaosfuzz.targets.postgres.system import PostgresSystem
from chaosfuzz.targets.process.client import Clients
from chaosfuzz.targets.process.observer import QueueObserver
from chaosfuzz.targets.process.tuning import Tuning
from chaosfuzz.targets.process.users import Users


@runtime_checkable
class AnnouncingProcess(Process, Protocol):
    """One component that was started, and says when it is ready."""

    def wait_ready(self, timeout_s: float) -> None:
        """Wait until it says so; raises InfrastructureError if it does not."""
        ...


Spawn = Callable[[str, str], AnnouncingProcess]
"""Starts a component by its name, with its settings as JSON; it announces when it is ready."""


class ReferenceSystem(PostgresSystem):
    """Implements System and all its optional abilities over what `spawn` starts.

    Without a wire the client too reaches the server directly.
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
        self._port = place.number
        self.base_url = f"http://{place.host}:{place.number}"
        self.dsn = address.harness_dsn
        effects = tuning.contract.guarantee is Guarantee.EXACTLY_ONCE_EFFECT
        self._observer = QueueObserver(self._session, effects=effects)
        self._clients = Clients(wire, place, tuning.contract.request_timeout_ms, users)
        if wire is not None:
            wire.begin()
        self.start_components([SERVER, *(f"worker-{slot}" for slot in range(1, workers + 1))])

    @property
    def contract(self) -> Contract:
        """What the reference system promises."""
        return self._tuning.contract

    def read_tasks(self) -> tuple[TaskState, ...] | None:
        """Return all rows, or None while the database cannot be reached."""
        return self._observer.tasks()

    def read_breakers(
        self, *, readable: bool
    ) -> tuple[tuple[Breaker, ...], tuple[BreakerTransition, ...]]:
        """Return the breakers that ever counted a failure, and all that breakers did so far."""
        return self._observer.breakers(readable=readable)

    def begin_health(self) -> Callable[[], Health]:
        """Ask the server, unheeded by faults at the client's requests."""
        return self._clients.harness.ask_health().answer

    def create(self, request: TaskRequest, due_ns: int) -> Reply:
        """Create a task over HTTP."""
        return self._clients.user.create(request, due_ns)

    def cancel(self, task_id: str, user: int) -> Reply:
        """Cancel a task over HTTP."""
        return self._clients.user.cancel(task_id, user)

    def retry(self, task_id: str, user: int) -> Reply:
        """Retry a task over HTTP."""
        return self._clients.user.retry(task_id, user)

    def inquire(self, kind: InquiryKind, user: int, limit: int) -> Reply:
        """Ask over HTTP."""
        return self._clients.user.inquire(kind, user, limit)

    def ask(self, path: str) -> Reply:
        """GET a path of the server, unheeded by faults at the client's requests."""
        return self._clients.harness.ask(path)

    def memory_bytes(self) -> int:
        """Return the resident memory of server and workers."""
        return sum(resident_bytes(pid) for pid in self.host_pids())

    def launch(self, component: str) -> Process:
        """Start a component with its settings."""
        settings = self._tuning.settings(
            dsn=self.address_of(component).url(component),
            component=component,
            port=self._port,
            ledger_path=self._ledger.path,
        )
        return self._spawn(component, json.dumps(settings))

    def await_ready(self, component: str, process: Process) -> None:
        """Wait until it has announced that it is ready."""
        assert isinstance(process, AnnouncingProcess), process
        process.wait_ready(READY_TIMEOUT_S)

    def host_pids(self) -> list[int]:
        """Return the pids of all components on this machine."""
        return [child.pid for child in tuple(self._children.values())]

    def move(self, place: ServerPlace) -> None:
        """Have everybody look for the server at another place."""
        self._place = place
        self.base_url = f"http://{place.host}:{place.number}"
        self._clients.move(place)
