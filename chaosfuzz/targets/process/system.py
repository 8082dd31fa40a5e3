"""One fresh copy of the reference system: server, workers and their database."""

import json
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from chaosfuzz.domain.contract import Contract
from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.domain.history import Health, Observation
from chaosfuzz.domain.outcome import Reply
from chaosfuzz.domain.target import Exit
from chaosfuzz.domain.task import Execution, TaskRequest
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
    """Implements System and all its optional abilities over processes of a keeper."""

    def __init__(
        self,
        *,
        keeper: Keeper,
        cluster: Cluster,
        database: str,
        directory: Path,
        tuning: Tuning,
        workers: int,
    ) -> None:
        self._keeper = keeper
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
        self._client = ApiClient(self._port, tuning.contract.request_timeout_ms)
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
        inquiry = self._client.ask_health() if ask_health else None
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
        """Return what ended since the last call."""
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
        child = self._children.get(component)
        if child is None or child.exit_code is not None:
            return False
        self._ordered.add(component)
        self.resume(component)
        if graceful:
            child.signal(signal.SIGTERM)
            if child.wait(EXIT_TIMEOUT_S) is None:
                child.kill_tree()
        else:
            child.kill_tree()
        if child.wait(EXIT_TIMEOUT_S) is None:
            message = f"{component} (pid {child.pid}) is still there after SIGKILL"
            raise InfrastructureError(message)
        self._collect(component)
        return True

    def start(self, component: str) -> bool:
        """Start a component; waits until it is ready."""
        if component in self._running():
            return False
        self._collect(component)
        self._launch(component)
        self._children[component].wait_ready(READY_TIMEOUT_S)
        return True

    def pause(self, component: str) -> bool:
        """Freeze a component by SIGSTOP."""
        child = self._children.get(component)
        if child is None or component in self._paused or not child.signal(signal.SIGSTOP):
            return False
        self._paused.add(component)
        return True

    def resume(self, component: str) -> bool:
        """Let a frozen component go on by SIGCONT."""
        if component not in self._paused:
            return False
        self._paused.discard(component)
        return self._children[component].signal(signal.SIGCONT)

    def stop_database(self, mode: str) -> bool:
        """Stop PostgreSQL."""
        if not self._cluster.is_running:
            return False
        self._observer.close()
        self._cluster.stop(mode)  # type: ignore[arg-type]
        return True

    def start_database(self) -> bool:
        """Start PostgreSQL."""
        if self._cluster.is_running:
            return False
        self._cluster.start(READY_TIMEOUT_S)
        return True

    def terminate_backend(self, component: str, session: int) -> bool:
        """End a database session of a component (1 is the oldest), or all of them (0)."""
        if not self._cluster.is_running:
            return False
        return self._cluster.terminate_backends(component, session) > 0

    def close(self) -> None:
        """Kill everything; drop the database."""
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
        self._cluster.drop_database(self._database)
        self._ledger_path.unlink(missing_ok=True)

    def spawn(self, component: str, settings: str) -> Child:
        """Start a component's process, which will announce that it is ready."""
        entry = SERVER_ENTRY if component == SERVER else WORKER_ENTRY
        return self._keeper.fork(entry, settings, self._directory / f"{component}.log")

    def _running(self) -> set[str]:
        return {name for name, child in self._children.items() if child.exit_code is None}

    def _launch(self, component: str) -> None:
        settings = self._tuning.settings(
            dsn=self._cluster.dsn(self._database, over="tcp"),
            component=component,
            port=self._port,
            ledger_path=self._ledger_path,
        )
        self._ordered.discard(component)
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
        child.close()
        del self._children[component]
