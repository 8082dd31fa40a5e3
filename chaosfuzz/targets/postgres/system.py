"""Systems whose queue is in PostgreSQL and whose components are processes or containers."""

import time
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from chaosfuzz.domain.breaker import Breaker, BreakerTransition
from chaosfuzz.domain.history import Health, Observation
from chaosfuzz.domain.task import Execution, TaskState
from chaosfuzz.domain.wire import Wire
from chaosfuzz.targets.components import ComponentSystem, ServerPlace
from chaosfuzz.targets.ledger import Ledger
from chaosfuzz.targets.postgres.database import Address, Database
from chaosfuzz.targets.postgres.session import LastingSession


class PostgresSystem(ComponentSystem):
    """Implements a system's database faults, its observation and its end.

    `place` is where the HTTP server listens, None without a server. `close` deletes the ledger.
    """

    on_closed: Callable[[], None] | None = None
    """Called once the system has been closed, also if that failed."""

    def __init__(
        self,
        *,
        database: Database,
        address: Address,
        ledger: Ledger,
        wire: Wire | None,
        place: ServerPlace | None,
    ) -> None:
        super().__init__(wire)
        self._database = database
        self.address = address
        self._ledger = ledger
        self._place = place
        self._session = LastingSession(address.harness_dsn)

    @abstractmethod
    def read_tasks(self) -> tuple[TaskState, ...] | None:
        """Return all tasks of the queue, None while it cannot be read."""

    def begin_health(self) -> Callable[[], Health]:
        """Ask the server for its health; the returned function waits for the answer."""
        return lambda: Health.UNASKED

    def read_breakers(
        self, *, readable: bool
    ) -> tuple[tuple[Breaker, ...], tuple[BreakerTransition, ...]]:
        """Return circuit breakers and transitions; `readable` is False if the database is down."""
        return (), ()

    def known_ids(self) -> Mapping[str, str]:
        """Return the task ids by token, as far as a creation or a row has shown them."""
        return {}

    def ready_components(self) -> set[str]:
        """Return the components that run and have become ready."""
        return self._running()

    def observe(self, *, ask_health: bool, count_sessions: bool = False) -> Observation:
        """Read the queue and, on request, the server's health and the database's sessions.

        Sessions are counted as 0 while the queue cannot be read.
        """
        asked_ns = time.monotonic_ns()
        # The queue is read while the server answers.
        answer = self.begin_health() if ask_health else lambda: Health.UNASKED
        tasks = self.read_tasks() if self._database.is_running else None
        breakers, transitions = self.read_breakers(readable=tasks is not None)
        sessions = open_transactions = 0
        if count_sessions and tasks is not None:
            sessions, open_transactions = self._session.count_sessions()
        health = answer()
        return Observation(
            health=health,
            at_ns=time.monotonic_ns(),
            tasks=tasks,
            health_asked_ns=asked_ns,
            components_up=tuple(sorted(self.ready_components())),
            database_sessions=sessions,
            open_transactions=open_transactions,
            breakers=breakers,
            transitions=transitions,
        )

    def executions(self) -> Sequence[Execution]:
        """Read the ledger; return all executions so far."""
        return self._ledger.executions(self.known_ids())

    def stop_database(self, mode: str) -> bool:
        """Stop PostgreSQL (fast, immediate or kill); return False if it was down."""
        with self._lock:
            if not self._database.is_running:
                return False
            self._database.stop(mode)
        return True

    def start_database(self) -> bool:
        """Start PostgreSQL; return False if it was up."""
        with self._lock:
            if self._database.is_running:
                return False
            self._database.start()
        return True

    def terminate_backend(self, component: str, session: int) -> bool:
        """End a component's nth oldest session, or all with 0; return whether a session ended."""
        with self._lock:
            if not self._database.is_running:
                return False
            return self._database.terminate_backends(component, session) > 0

    def prepare(self, component: str) -> None:
        """Give a component a port of the proxy, unless it has one or there is no proxy."""
        self.address_of(component)

    def address_of(self, component: str) -> Address:
        """Return how a component reaches the database: through the proxy if there is one."""
        if self._wire is None:
            return self.address
        port = self._wire.route(component, self._database.upstream)
        return replace(self.address, host=self._wire.host, port=port)

    def close(self) -> None:
        """End the system and call `on_closed`; the lane drops the database's contents."""
        try:
            self.end()
        finally:
            if self.on_closed is not None:
                self.on_closed()

    def end(self) -> None:
        """Kill the components, free the port, delete the ledger, and leave the database running."""
        self.end_components()
        self._session.close()
        if self._place is not None:
            self._place.close()
        if not self._database.is_running:
            self._database.start()
        self._ledger.path.unlink(missing_ok=True)
