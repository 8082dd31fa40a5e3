"""A running system of a profile: its processes, their proxy and their database."""

import time
from collections.abc import Callable, Sequence
from functools import partial

import psycopg

from chaosfuzz.domain.contract import Contract, WorkerExit
from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.domain.history import Health, ProcessExit
from chaosfuzz.domain.moment import CLIENT
from chaosfuzz.domain.outcome import Outcome, Reply, classify
from chaosfuzz.domain.task import TaskRequest, TaskState
from chaosfuzz.domain.wire import Wire
from chaosfuzz.targets.components import SERVER, Process, ServerPlace
from chaosfuzz.targets.http_calls import HttpCalls, ask_health
from chaosfuzz.targets.keeper import ProcessTree
from chaosfuzz.targets.keeper.child import log_tail
from chaosfuzz.targets.ledger import Ledger
from chaosfuzz.targets.postgres import ReservedPort
from chaosfuzz.targets.postgres.database import Address, Database
from chaosfuzz.targets.postgres.system import PostgresSystem
from chaosfuzz.targets.profiles.creating import (
    CreateTask,
    create_by_http,
    create_by_line,
    create_by_sql,
)
from chaosfuzz.targets.profiles.launching import Launcher
from chaosfuzz.targets.profiles.model import ComponentProfile, CreationProfile, Profile
from chaosfuzz.targets.profiles.observing import Listing
from chaosfuzz.targets.profiles.producing import Producer, ask_once
from chaosfuzz.targets.profiles.readiness import is_ready, log_since, not_ready
from chaosfuzz.targets.restarting import Restarts

# Chosen by hand: time for a producer to start if its profile does not say when it is ready.
FIRST_ANSWER_S = 20.0


class ProfileSystem(PostgresSystem):
    """A running system of a profile (implements System and its optional abilities).

    Starts the server, then `workers` workers, then the producer, and waits until each is ready.

    Raises:
        InfrastructureError: a component did not become ready; all of them are killed.

    """

    def __init__(
        self,
        *,
        launcher: Launcher,
        database: Database,
        address: Address,
        ledger: Ledger,
        workers: int,
        wire: Wire | None,
    ) -> None:
        self.profile: Profile = launcher.profile
        place = self.find_server() if self.profile.server is not None else None
        super().__init__(database=database, address=address, ledger=ledger, wire=wire, place=place)
        self._launcher = launcher
        self._port = place.number if place is not None else None
        self._ready_dsn = address.url("chaosfuzz-ready")
        self._listing = Listing(self.profile.tasks, str(self.profile.path))
        self._restarts = Restarts(self.profile.worker.restart)
        self._log_from: dict[str, int] = {}
        self._is_open = False
        # Launched components that may not be ready yet.
        self._starting: set[str] = set()
        self._producer: Producer | None = None
        self._create_task: CreateTask | None = None
        if wire is not None:
            wire.begin()
        try:
            names = [f"worker-{slot}" for slot in range(1, workers + 1)]
            if self.profile.server is not None:
                names.insert(0, SERVER)
            self.start_components(names)
            if self.profile.creation is not None:
                self._create_task = self._make_creation(self.profile.creation)
            self._is_open = True
        except BaseException:
            self.close()
            raise

    def find_server(self) -> ServerPlace:
        """Reserve a port for the HTTP server and return it."""
        return ReservedPort()

    @property
    def contract(self) -> Contract:
        """The profile's contract."""
        return self.profile.contract

    def ending(self, component: str) -> tuple[int, float]:
        """Return the number of the stop signal, and the seconds until SIGKILL follows it."""
        spec = self._spec(component)
        return spec.stop_signal, spec.grace_s

    def offers(self, component: str) -> bool:
        """Tell whether the profile describes the component. A worker always exists."""
        return component != SERVER or self.profile.server is not None

    def begin_health(self) -> Callable[[], Health]:
        """Send the health request; the returned function waits for the answer.

        The answer is UNASKED if the profile has no server or names no path.
        """
        server = self.profile.server
        if server is None or server.health is None:
            return lambda: Health.UNASKED
        assert self._place is not None
        timeout_s = self.contract.request_timeout_ms / 1000
        calls = HttpCalls(self._place.number, timeout_s, host=self._place.host)
        return ask_health(calls.connection(), server.health)

    def read_tasks(self) -> tuple[TaskState, ...] | None:
        """Return the tasks that tasks.query lists, None while the database cannot be reached.

        Raises UsageError if PostgreSQL refuses the query, or its rows do not fit the profile.
        """
        try:
            rows = self._session.query(self.profile.tasks.query)
        except psycopg.Error as error:
            problem = " ".join(str(error).split())
            raise UsageError(
                cause=f"{self.profile.path}: PostgreSQL refuses tasks.query: {problem}",
                remedy="correct the query in [tasks]",
            ) from error
        return None if rows is None else self._listing.states(rows, self.executions())

    def ready_components(self) -> set[str]:
        """Return the running components that have been seen ready."""
        return self._running() - self._starting

    def known_ids(self) -> dict[str, str]:
        """Return the queue's id of each token that creation, a row or the ledger linked to one."""
        return self._listing.ids()

    def exits(self) -> Sequence[ProcessExit]:
        """Return the exits since the last call.

        Also starts the workers whose restart policy asks for it, and notes which components have
        become ready.

        Raises InfrastructureError if the proxy failed, or a component ended by itself and the
        profile says worker_exit = "harness".
        """
        exits = super().exits()
        for ended in exits:
            if not ended.ordered and self.contract.worker_exit is WorkerExit.HARNESS:
                log = self._launcher.log_path(ended.component)
                raise InfrastructureError(
                    cause=(
                        f"{ended.component} ended by itself with exit code {ended.exit_code}, "
                        'which contract.worker_exit = "harness" calls a broken set-up. Its log '
                        f"{log} ends: {log_tail(log)}"
                    ),
                    remedy="correct the cause that the log names",
                )
        with self._lock:
            self._starting -= {name for name in self._starting if self._has_come_up(name)}
        return exits

    def bring_back(self, component: str) -> None:
        """Start a worker again without waiting until it is ready."""
        super().bring_back(component)
        self._starting.add(component)

    def _has_come_up(self, component: str) -> bool:
        """Tell whether a component is ready, has ended or has no `ready`.

        False during an outage of the database if `ready` is a query, which is not run then.
        """
        ready = self._spec(component).ready
        if component not in self._running() or ready is None:
            return True
        if ready.query is not None and not self._database.is_running:
            return False
        return is_ready(ready, self._log_of(component), self._port, self._ready_dsn)

    def create(self, request: TaskRequest, due_ns: int) -> Reply:
        """Create a task that is due at a monotonic time, as the profile describes."""
        assert self._create_task is not None, "a target without creation offers no create_tasks"
        delay_ms = 0
        if request.delay_ms:
            delay_ms = max(0, (due_ns - time.monotonic_ns()) // 10**6)
        reply = self._create_task(request, delay_ms)
        if classify(reply) is Outcome.OK:
            self._listing.accepted(request.token, reply.task_id)
        return reply

    def end(self) -> None:
        """Kill the producer and the components, and start the database if it is down."""
        if self._producer is not None:
            self._producer.close()
        super().end()

    def launch(self, component: str) -> Process:
        """Start a component's command."""
        return self._start(component, self._spec(component))

    def _start(
        self, component: str, spec: ComponentProfile, pipes: tuple[int, int] | None = None
    ) -> ProcessTree:
        """Start a command; its readiness is looked for in the log from here on."""
        log = self._launcher.log_path(component)
        self._log_from[component] = log.stat().st_size if log.exists() else 0
        address = self.address_of(component)
        values = self._launcher.values(
            component, address, ledger=self._ledger.path, port=self._port
        )
        return self._launcher.start(component, spec, values, pipes)

    def await_ready(self, component: str, process: Process) -> None:
        """Wait until a component is ready.

        After the start of the system a component that does not become ready is no error. During
        an outage of the database nothing is waited for.

        Raises InfrastructureError if a component did not become ready at the start of the system.
        """
        self._await_ready(component, self._spec(component), process)

    def _await_ready(self, component: str, spec: ComponentProfile, process: Process) -> None:
        if spec.ready is None:
            return
        if self._is_open and not self._database.is_running:
            self._starting.add(component)
            return
        log_of = self._log_of(component)
        problem = not_ready(spec.ready, process, log=log_of, port=self._port, dsn=self._ready_dsn)
        if problem and not self._is_open:
            log = self._launcher.log_path(component)
            tail = log_tail(log, self._log_from.get(component, 0))
            name = "the producer" if component == CLIENT else component
            raise InfrastructureError(
                cause=f"{name} {problem}. Its log {log} ends: {tail or 'nothing'}",
                remedy="correct its command or its `ready` in the profile",
            )

    def _log_of(self, component: str) -> Callable[[], bytes]:
        path, from_byte = self._launcher.log_path(component), self._log_from.get(component, 0)
        return lambda: log_since(path, from_byte)

    def _spec(self, component: str) -> ComponentProfile:
        if component != SERVER:
            return self.profile.worker
        assert self.profile.server is not None
        return self.profile.server

    def _make_creation(self, creation: CreationProfile) -> CreateTask:
        """Return the function that creates tasks; start the producer if the profile has one."""
        timeout_s = creation.timeout_ms / 1000
        if creation.http is not None:
            place = self._place
            assert place is not None, "conflicts refuses create.http without a server"
            calls = HttpCalls(place.number, timeout_s)
            if self._wire is not None:
                port = self._wire.route_http(CLIENT, place.number, place.host)
                refused = partial(self._wire.has_refused, CLIENT)
                calls = HttpCalls(port, timeout_s, refused, self._wire.host)
            return partial(create_by_http, creation.http, calls)
        if creation.sql is not None:
            dsn = self.address_of(CLIENT).url(CLIENT)
            return partial(create_by_sql, creation.sql, dsn, timeout_s)
        spec = self.profile.producer or ComponentProfile(command=creation.command)
        start = partial(self._start, CLIENT, spec)
        if self.profile.producer is None:
            return partial(create_by_line, partial(ask_once, start, timeout_s))
        self._producer = Producer(
            start=start,
            ready=partial(self._await_ready, CLIENT, spec),
            timeout_s=timeout_s,
            first_s=timeout_s if spec.ready is not None else max(timeout_s, FIRST_ANSWER_S),
            is_calm=lambda: self._database.is_running,
        )
        return partial(create_by_line, self._producer.ask)
