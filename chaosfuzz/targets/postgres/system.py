"""What every system has whose queue is in PostgreSQL, whatever its components run as."""

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
    """Implements the faults of the database, observing, and the end of a system.

    `place` is where the HTTP server listens, None without one. The ledger's file goes with the
    system.
    """

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
        """Return what the queue shows, None while it cannot be read."""

    def begin_health(self) -> Callable[[], Health]:
        """Ask the server how it is; what is returned waits for the answer."""
        return lambda: Health.UNASKED

    def read_breakers(
        self, *, readable: bool
    ) -> tuple[tuple[Breaker, ...], tuple[BreakerTransition, ...]]:
        """Return circuit breakers and all that they did; `readable` if the database answers."""
        return (), ()

    def known_ids(self) -> Mapping[str, str]:
        """Return the queue's ids of tokens, as far as creation or a row told them."""
        return {}

    def ready_components(self) -> set[str]:
        """Return the components that run and are not still starting."""
        return self._running()

    def observe(self, *, ask_health: bool, count_sessions: bool = False) -> Observation:
        """Read the queue, and the server's health and the database's sessions if asked."""
        asked_ns = time.monotonic_ns()
        # What else is to be read is read while the server answers.
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
        """Read the ledger."""
        return self._ledger.executions(self.known_ids())

    def stop_database(self, mode: str) -> bool:
        """Stop PostgreSQL."""
        with self._lock:
            if not self._database.is_running:
                return False
            self._database.stop(mode)
        return True

    def start_database(self) -> bool:
        """Start PostgreSQL."""
        with self._lock:
            if self._database.is_running:
                return False
            self._database.start()
        return True

    def terminate_backend(self, component: str, session: int) -> bool:
        """End a database session of a component (1 is the oldest), or all of them (0)."""
        with self._lock:
            if not self._database.is_running:
                return False
            return self._database.terminate_backends(component, session) > 0

    def prepare(self, component: str) -> None:
        """Make its way to the database."""
        self.address_of(component)

    def address_of(self, component: str) -> Address:
        """Return how a component reaches the database: by the proxy if there is one."""
        if self._wire is None:
            return self.address
        port = self._wire.route(component, self._database.upstream)
        return replace(self.address, host=self._wire.host, port=port)

    afterwards: Callable[[], None] | None = None
    """What is done once the system has been closed."""

    def close(self) -> None:
        """Kill everything; leave the database running, its contents are the lane's to drop."""
        try:
            self.end()
        finally:
            if self.afterwards is not None:
                self.afterwards()

    def end(self) -> None:
        """End the components and let go of everything else."""
        self.end_components()
        self._session.close()
        if self._place is not None:
            self._place.close()
        if not self._database.is_running:
            self._database.start()
        self._ledger.path.unlink(missing_ok=True)
