"""One fresh copy of the reference system: server, workers and their database."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

from psycopg.conninfo import make_conninfo

from chaosfuzz.domain.contract import Contract
from chaosfuzz.domain.history import Health, InquiryKind, Observation
from chaosfuzz.domain.outcome import Reply
from chaosfuzz.domain.task import Execution, TaskRequest
from chaosfuzz.domain.wire import Wire
from chaosfuzz.targets.components import SERVER, ComponentSystem, Process
from chaosfuzz.targets.postgres import ReservedPort
from chaosfuzz.targets.process.client import Clients
from chaosfuzz.targets.process.ledger import Ledger
from chaosfuzz.targets.process.memory import resident_bytes
from chaosfuzz.targets.process.observer import QueueObserver
from chaosfuzz.targets.process.seams import AnnouncingProcess, Database, Spawn
from chaosfuzz.targets.process.tuning import Tuning
from chaosfuzz.targets.process.users import Users
from chaosfuzz.targets.seams import ServerPlace

READY_TIMEOUT_S = 15.0


class ReferenceSystem(ComponentSystem):
    """Implements System and all its optional abilities over what `spawn` starts.

    Without a wire the client too reaches the server directly.
    """

    def __init__(
        self,
        *,
        spawn: Spawn,
        cluster: Database,
        database: str,
        directory: Path,
        tuning: Tuning,
        users: Users,
        workers: int,
        wire: Wire | None = None,
        place: ServerPlace | None = None,
    ) -> None:
        super().__init__(wire)
        self._spawn = spawn
        self._users = users
        self._cluster = cluster
        self._database = database
        self._directory = directory
        self._tuning = tuning
        self._place = place or ReservedPort(tuning.port)
        self._port = self._place.number
        self.base_url = f"http://{self._place.host}:{self._port}"
        self._ledger_path = directory / f"ledger-{database}.jsonl"
        self._ledger = Ledger(self._ledger_path)
        exactly_once = tuning.mode == "exactly-once-effect"
        self.dsn = cluster.dsn(database, over="unix")
        self._observer = QueueObserver(self.dsn, effects=exactly_once)
        self._clients = Clients(wire, self._place, tuning.contract.request_timeout_ms, users)
        if wire is not None:
            wire.begin()
        self.start_components([SERVER, *(f"worker-{slot}" for slot in range(1, workers + 1))])

    @property
    def contract(self) -> Contract:
        """What the reference system promises."""
        return self._tuning.contract

    def observe(self, *, ask_health: bool, count_sessions: bool = False) -> Observation:
        """Read the queue, and the server's health and the database's sessions if asked."""
        asked_ns = time.monotonic_ns()
        inquiry = self._clients.harness.ask_health() if ask_health else None
        tasks = self._observer.tasks() if self._cluster.is_running else None
        breakers, transitions = self._observer.breakers(readable=tasks is not None)
        sessions = open_transactions = 0
        if count_sessions and tasks is not None:
            sessions, open_transactions = self._observer.sessions()
        health = Health.UNASKED if inquiry is None else inquiry.answer()
        return Observation(
            health=health,
            at_ns=time.monotonic_ns(),
            tasks=tasks,
            health_asked_ns=asked_ns,
            components_up=tuple(sorted(self._running())),
            database_sessions=sessions,
            open_transactions=open_transactions,
            breakers=breakers,
            transitions=transitions,
        )

    def executions(self) -> Sequence[Execution]:
        """Read the ledger."""
        return self._ledger.executions()

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
        return sum(resident_bytes(pid) for pid in self._host_pids())

    def stop_database(self, mode: str) -> bool:
        """Stop PostgreSQL."""
        with self._lock:
            if not self._cluster.is_running:
                return False
            self._cluster.stop(mode)  # type: ignore[arg-type]
        return True

    def start_database(self) -> bool:
        """Start PostgreSQL."""
        with self._lock:
            if self._cluster.is_running:
                return False
            self._cluster.start(READY_TIMEOUT_S)
        return True

    def terminate_backend(self, component: str, session: int) -> bool:
        """End a database session of a component (1 is the oldest), or all of them (0)."""
        with self._lock:
            if not self._cluster.is_running:
                return False
            return self._cluster.terminate_backends(component, session) > 0

    def close(self) -> None:
        """Kill everything; leave the database running, its contents are the lane's to drop."""
        self.end_components()
        self._observer.close()
        self._place.close()
        if not self._cluster.is_running:
            self._cluster.start(READY_TIMEOUT_S)
        self._ledger_path.unlink(missing_ok=True)

    def prepare(self, component: str) -> None:
        """Make its way to the database."""
        self._dsn(component)

    def launch(self, component: str) -> Process:
        """Start a component with its settings."""
        settings = self._tuning.settings(
            dsn=self._dsn(component),
            component=component,
            port=self._port,
            ledger_path=self._ledger_path,
        )
        return self._spawn(component, json.dumps(settings))

    def await_ready(self, component: str, process: Process) -> None:
        """Wait until it has announced that it is ready."""
        assert isinstance(process, AnnouncingProcess), process
        process.wait_ready(READY_TIMEOUT_S)

    def _host_pids(self) -> list[int]:
        """Return the pids of all components on this machine."""
        return [child.pid for child in tuple(self._children.values())]

    def _move(self, place: ServerPlace) -> None:
        """Have everybody look for the server at another place."""
        self._place = place
        self.base_url = f"http://{place.host}:{place.number}"
        self._clients.move(place)

    def _dsn(self, component: str) -> str:
        dsn = self._cluster.dsn(self._database, over="tcp")
        if self._wire is None:
            return dsn
        port = self._wire.route(component, str(self._cluster.socket_path))
        return make_conninfo(dsn, port=port)
