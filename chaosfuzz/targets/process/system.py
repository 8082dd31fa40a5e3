"""One fresh copy of the reference system: server, workers and their database."""

import json
import signal
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from psycopg.conninfo import make_conninfo

from chaosfuzz.domain.contract import Contract
from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.domain.history import Health, Observation
from chaosfuzz.domain.moment import CLIENT, Moment
from chaosfuzz.domain.outcome import Reply
from chaosfuzz.domain.target import Exit
from chaosfuzz.domain.task import Execution, TaskRequest
from chaosfuzz.domain.wire import Grip, Request, Trap, Wire
from chaosfuzz.targets.keeper import Child, Keeper
from chaosfuzz.targets.postgres import Cluster, ReservedPort
from chaosfuzz.targets.process.client import ApiClient
from chaosfuzz.targets.process.ledger import Ledger
from chaosfuzz.targets.process.observer import QueueObserver
from chaosfuzz.targets.process.tuning import SERVER_ENTRY, WORKER_ENTRY, Tuning

SERVER = "server-1"
READY_TIMEOUT_S = 15.0
EXIT_TIMEOUT_S = 10.0


class ReferenceSystem:
    """Implements System and all its optional abilities over processes of a keeper.

    Faults may be injected from a second thread, when a moment comes: what changes processes is
    under one lock. Without a wire components reach the database, and the client the server,
    directly, and no moment comes.
    """

    def __init__(
        self,
        *,
        keeper: Keeper,
        cluster: Cluster,
        database: str,
        directory: Path,
        tuning: Tuning,
        workers: int,
        wire: Wire | None = None,
    ) -> None:
        self._keeper = keeper
        self._wire = wire
        self._lock = threading.RLock()
        self._frozen: set[str] = set()
        self._held: dict[str, threading.Timer] = {}
        self._cluster = cluster
        self._database = database
        self._directory = directory
        self._tuning = tuning
        self._children: dict[str, Child] = {}
        self._ordered: set[str] = set()
        self._paused: set[str] = set()
        self._exits: list[Exit] = []
        self._reserved = ReservedPort()
        self._port = self._reserved.number
        self._ledger_path = directory / f"ledger-{database}.jsonl"
        self._ledger = Ledger(self._ledger_path)
        exactly_once = tuning.mode == "exactly-once-effect"
        dsn = cluster.dsn(database, over="unix")
        self._observer = QueueObserver(dsn, effects=exactly_once)
        self._client = self._make_client(wire)
        # The harness looks by a way of its own, which no fault at a client's request touches.
        self._looking = ApiClient(self._port, tuning.contract.request_timeout_ms)
        if wire is not None:
            wire.begin()
        for name in (SERVER, *(f"worker-{slot}" for slot in range(1, workers + 1))):
            self._launch(name)
        for child in self._children.values():
            child.wait_ready(READY_TIMEOUT_S)

    @property
    def contract(self) -> Contract:
        """What the reference system promises."""
        return self._tuning.contract

    def observe(self, *, ask_health: bool, count_sessions: bool = False) -> Observation:
        """Read the queue, and the server's health and the database's sessions if asked."""
        asked_ns = time.monotonic_ns()
        inquiry = self._looking.ask_health() if ask_health else None
        tasks = self._observer.tasks() if self._cluster.is_running else None
        sessions = open_transactions = 0
        if count_sessions and tasks is not None:
            sessions, open_transactions = self._observer.sessions()
        return Observation(
            health=Health.UNASKED if inquiry is None else inquiry.answer(),
            at_ns=time.monotonic_ns(),
            tasks=tasks,
            health_asked_ns=asked_ns,
            components_up=tuple(sorted(self._running())),
            database_sessions=sessions,
            open_transactions=open_transactions,
        )

    def executions(self) -> Sequence[Execution]:
        """Read the ledger."""
        return self._ledger.executions()

    def exits(self) -> Sequence[Exit]:
        """Return what ended since the last call; raises InfrastructureError for the wire's own."""
        if self._wire is not None:
            self._wire.check()
        with self._lock:
            for name in list(self._children):
                self._collect(name)
            gone, self._exits = self._exits, []
        return gone

    def worker_names(self) -> Sequence[str]:
        """Return the workers that run, frozen ones included."""
        return sorted(name for name in self._running() if name != SERVER)

    def pid(self, component: str) -> int:
        """Return the process id of a component that runs."""
        return self._children[component].pid

    def create(self, request: TaskRequest, due_ns: int) -> Reply:
        """Create a task over HTTP."""
        return self._client.create(request, due_ns)

    def cancel(self, task_id: str) -> Reply:
        """Cancel a task over HTTP."""
        return self._client.cancel(task_id)

    def retry(self, task_id: str) -> Reply:
        """Retry a task over HTTP."""
        return self._client.retry(task_id)

    def kill(self, component: str, *, graceful: bool) -> bool:
        """End a component by SIGTERM or SIGKILL and wait until it is gone."""
        with self._lock:
            child = self._children.get(component)
            if child is None or child.exit_code is not None:
                return False
            self._ordered.add(component)
            if graceful:
                child.signal(signal.SIGTERM)
                # It cannot end in order while it is frozen or waits for an answer.
                self.resume(component)
                self.release(component)
                self._thaw(component)
                if child.wait(EXIT_TIMEOUT_S) is None:
                    child.kill_tree()
            else:
                child.kill_tree()
            if child.wait(EXIT_TIMEOUT_S) is None:
                message = f"{component} (pid {child.pid}) is still there after SIGKILL"
                raise InfrastructureError(message)
            if self._wire is not None:
                # What it sent and nobody forwarded never reaches the database.
                self._wire.cut(component)
                if component == SERVER and CLIENT in self._frozen:
                    # Nor does the client hear what it was kept from hearing.
                    self._wire.cut(CLIENT)
            self._collect(component)
        return True

    def start(self, component: str) -> bool:
        """Start a component; waits until it is ready."""
        with self._lock:
            if component in self._running():
                return False
            self._collect(component)
            self._launch(component)
            self._children[component].wait_ready(READY_TIMEOUT_S)
        return True

    def pause(self, component: str) -> bool:
        """Freeze a component by SIGSTOP."""
        with self._lock:
            child = self._children.get(component)
            if child is None or component in self._paused or not child.signal(signal.SIGSTOP):
                return False
            self._paused.add(component)
        return True

    def resume(self, component: str) -> bool:
        """Let a frozen component go on by SIGCONT."""
        with self._lock:
            if component not in self._paused:
                return False
            self._paused.discard(component)
            self._thaw(component)
            return self._children[component].signal(signal.SIGCONT)

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

    def cut(self, component: str) -> bool:
        """Break all connections of a component to the database."""
        if self._wire is None or component not in self._running():
            return False
        self._wire.cut(component)
        return True

    def hold(self, component: str, for_ms: int) -> bool:
        """Let nothing pass between a component and the database, for a while or until released."""
        with self._lock:
            if self._wire is None or component not in self._running() or component in self._held:
                return False
            self._wire.freeze(component)
            ending = threading.Timer(for_ms / 1000, partial(self.release, component))
            ending.daemon = True
            self._held[component] = ending
            if for_ms:
                ending.start()
        return True

    def release(self, component: str) -> bool:
        """Let pass again."""
        with self._lock:
            ending = self._held.pop(component, None)
            if ending is None:
                return False
            ending.cancel()
            if self._wire is not None and component not in self._frozen:
                self._wire.thaw(component)
        return True

    def end_stranded(self, component: str) -> None:
        """End the sessions that a component was cut off from and does not know of."""
        if self._wire is not None:
            self._wire.end_stranded(component)

    def set_trap(
        self,
        component: str,
        moment: Moment,
        grip: Grip,
        sprung: Callable[[], None],
        *,
        hold_ms: int,
    ) -> Trap | None:
        """Wait for a moment; None if there is no wire to wait at."""
        if self._wire is None:
            return None

        def note() -> None:
            if grip is Grip.FREEZE:
                self._frozen.add(component)
            sprung()

        return self._wire.set_trap(component, moment, grip, note, hold_ms=hold_ms)

    def let_go(self, component: str) -> None:
        """Thaw what a trap froze, unless it has been paused since: then when it is resumed."""
        with self._lock:
            if component not in self._paused:
                self._thaw(component)

    def requests(self) -> Sequence[Request]:
        """Return what components asked the database so far."""
        return self._wire.requests() if self._wire is not None else ()

    def terminate_backend(self, component: str, session: int) -> bool:
        """End a database session of a component (1 is the oldest), or all of them (0)."""
        with self._lock:
            if not self._cluster.is_running:
                return False
            return self._cluster.terminate_backends(component, session) > 0

    def close(self) -> None:
        """Kill everything; leave the database running, its contents are the lane's to drop."""
        for name in tuple(self._held):
            self.release(name)
        for name, child in self._children.items():
            self._ordered.add(name)
            child.kill_tree()
        for child in self._children.values():
            child.wait(EXIT_TIMEOUT_S)
            child.close()
        self._children.clear()
        self._observer.close()
        self._reserved.close()
        if not self._cluster.is_running:
            self._cluster.start(READY_TIMEOUT_S)
        self._ledger_path.unlink(missing_ok=True)

    def spawn(self, component: str, settings: str) -> Child:
        """Start a component's process, which will announce that it is ready."""
        entry = SERVER_ENTRY if component == SERVER else WORKER_ENTRY
        return self._keeper.fork(entry, settings, self._directory / f"{component}.log")

    def _make_client(self, wire: Wire | None) -> ApiClient:
        timeout_ms = self._tuning.contract.request_timeout_ms
        if wire is None:
            return ApiClient(self._port, timeout_ms)
        port = wire.route_http(CLIENT, self._port)
        return ApiClient(port, timeout_ms, partial(wire.has_refused, CLIENT))

    def _running(self) -> set[str]:
        children = tuple(self._children.items())
        return {name for name, child in children if child.exit_code is None}

    def _thaw(self, component: str) -> None:
        if component in self._frozen:
            self._frozen.discard(component)
            if self._wire is not None and component not in self._held:
                self._wire.thaw(component)

    def _dsn(self, component: str) -> str:
        dsn = self._cluster.dsn(self._database, over="tcp")
        if self._wire is None:
            return dsn
        port = self._wire.route(component, str(self._cluster.socket_path))
        return make_conninfo(dsn, port=port)

    def _launch(self, component: str) -> None:
        settings = self._tuning.settings(
            dsn=self._dsn(component),
            component=component,
            port=self._port,
            ledger_path=self._ledger_path,
        )
        self._ordered.discard(component)
        if self._wire is not None:
            self._wire.started(component)
        self._children[component] = self.spawn(component, json.dumps(settings))

    def _collect(self, component: str) -> None:
        child = self._children.get(component)
        if child is None or child.exit_code is None:
            return
        self._exits.append(
            Exit(
                component=component,
                pid=child.pid,
                exit_code=child.exit_code,
                ordered=component in self._ordered,
            )
        )
        self._paused.discard(component)
        # Nothing of what kept it still is left for its successor.
        self.release(component)
        self._thaw(component)
        child.close()
        del self._children[component]
