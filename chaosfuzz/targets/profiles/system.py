"""One fresh copy of a profile's system: its processes, behind a proxy, and their database."""

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
from chaosfuzz.targets.http_calls import HealthInquiry, HttpCalls
from chaosfuzz.targets.keeper import ProcessTree
from chaosfuzz.targets.keeper.child import log_tail
from chaosfuzz.targets.ledger import Ledger
from chaosfuzz.targets.postgres import ReservedPort
from chaosfuzz.targets.postgres.database import Address, Database
from chaosfuzz.targets.postgres.system import PostgresSystem
from chaosfuzz.targets.profiles.creating import Creator, HttpCreator, SqlCreator
from chaosfuzz.targets.profiles.launching import Launcher
from chaosfuzz.targets.profiles.model import ComponentProfile, CreationProfile, Profile
from chaosfuzz.targets.profiles.observing import Listing
from chaosfuzz.targets.profiles.producing import Producer, command_creator, producer_creator
from chaosfuzz.targets.profiles.readiness import is_ready, log_since, not_ready
from chaosfuzz.targets.restarting import Restarts

FIRST_ANSWER_S = 20.0


class ProfileSystem(PostgresSystem):
    """Implements System and the optional abilities that any profile's system has."""

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
        # Launched, and not waited for until ready.
        self._starting: set[str] = set()
        self._creator: Creator | None = None
        if wire is not None:
            wire.begin()
        try:
            self._start(workers)
        except BaseException:
            self.close()
            raise

    def find_server(self) -> ServerPlace:
        """Say where the HTTP server is to be found."""
        return ReservedPort()

    def _start(self, workers: int) -> None:
        names = [f"worker-{slot}" for slot in range(1, workers + 1)]
        if self.profile.server is not None:
            names.insert(0, SERVER)
        self.start_components(names)
        if self.profile.creation is not None:
            self._creator = self._make_creator(self.profile.creation)
        self._is_open = True

    @property
    def contract(self) -> Contract:
        """What the profile says that the system promises."""
        return self.profile.contract

    def ending(self, component: str) -> tuple[int, float]:
        """Return the component's stop signal and grace."""
        spec = self._spec(component)
        return spec.stop_signal, spec.grace_s

    def offers(self, component: str) -> bool:
        """Say whether there can be such a component: a server only if the profile has one."""
        return component != SERVER or self.profile.server is not None

    def begin_health(self) -> Callable[[], Health]:
        """Ask the server at the profile's path, if it has one."""
        server = self.profile.server
        if server is None or server.health is None:
            return lambda: Health.UNASKED
        assert self._place is not None
        timeout_s = self.contract.request_timeout_ms / 1000
        calls = HttpCalls(self._place.number, timeout_s, host=self._place.host)
        return HealthInquiry(calls.connection(), server.health).answer

    def read_tasks(self) -> tuple[TaskState, ...] | None:
        """List the tasks, None while the database cannot be reached.

        Raises:
            UsageError: the profile's query is wrong.

        """
        try:
            rows = self._session.query(self.profile.tasks.query)
        except psycopg.Error as error:
            said = " ".join(str(error).split())
            raise UsageError(
                cause=f"{self.profile.path}: tasks.query failed: {said}", remedy="correct the query"
            ) from error
        return None if rows is None else self._listing.states(rows, self.executions())

    def ready_components(self) -> set[str]:
        """Return the components that run and are not still starting."""
        return self._running() - self._starting

    def known_ids(self) -> dict[str, str]:
        """Return the queue's ids of tokens, as far as creation or a row told them."""
        return self._listing.ids()

    def exits(self) -> Sequence[ProcessExit]:
        """Return what ended; workers that the profile wants back are started again."""
        gone = super().exits()
        for ended in gone:
            if not ended.ordered and self.contract.worker_exit is WorkerExit.HARNESS:
                log = self._launcher.log_path(ended.component)
                raise InfrastructureError(
                    cause=(
                        f"{ended.component} ended by itself with exit code {ended.exit_code}, "
                        f"which the profile calls a broken set-up. Its log {log} ends: "
                        f"{log_tail(log)}"
                    ),
                    remedy="correct the set-up as the log says",
                )
        with self._lock:
            self._starting -= {name for name in self._starting if self._has_come_up(name)}
        return gone

    def bring_back(self, component: str) -> None:
        """Start a worker again; whether it is ready is seen later."""
        super().bring_back(component)
        self._starting.add(component)

    def _has_come_up(self, component: str) -> bool:
        """Say whether one that was not waited for is ready by now, or gone."""
        ready = self._spec(component).ready
        if component not in self._running() or ready is None:
            return True
        if ready.query is not None and not self._database.is_running:
            return False
        return is_ready(ready, self._log_of(component), self._port, self._ready_dsn)

    def create(self, request: TaskRequest, due_ns: int) -> Reply:
        """Create a task as the profile says."""
        assert self._creator is not None, "a target without creation offers no create_tasks"
        delay_ms = 0
        if request.delay_ms:
            delay_ms = max(0, (due_ns - time.monotonic_ns()) // 10**6)
        reply = self._creator.create(request, delay_ms)
        if classify(reply) is Outcome.OK:
            self._listing.accepted(request.token, reply.task_id)
        return reply

    def end(self) -> None:
        """End the creator of tasks, and the rest."""
        if self._creator is not None:
            self._creator.close()
        super().end()

    def launch(self, component: str) -> Process:
        """Start a component's command."""
        log = self._launcher.log_path(component)
        self._log_from[component] = log.stat().st_size if log.exists() else 0
        return self._launcher.start(component, self._spec(component), self._values(component))

    def await_ready(self, component: str, process: Process) -> None:
        """Wait until it is ready. Once the system is open, one that is not is the system's matter.

        What starts in an outage of its database cannot be ready before that is over.
        """
        problem = self._not_ready(component, self._spec(component), process)
        if problem and not self._is_open:
            log = self._launcher.log_path(component)
            said = log_tail(log, self._log_from.get(component, 0))
            raise InfrastructureError(
                cause=f"{component} {problem}. Its log {log} ends: {said or 'nothing'}",
                remedy="correct its command or its `ready` in the profile",
            )

    def _not_ready(self, component: str, spec: ComponentProfile, process: Process) -> str:
        if spec.ready is None:
            return ""
        if self._is_open and not self._database.is_running:
            self._starting.add(component)
            return ""
        log = self._log_of(component)
        return not_ready(spec.ready, process, log=log, port=self._port, dsn=self._ready_dsn)

    def _log_of(self, component: str) -> Callable[[], bytes]:
        path, from_byte = self._launcher.log_path(component), self._log_from.get(component, 0)
        return lambda: log_since(path, from_byte)

    def _spec(self, component: str) -> ComponentProfile:
        if component != SERVER:
            return self.profile.worker
        assert self.profile.server is not None
        return self.profile.server

    def _values(self, component: str) -> dict[str, str]:
        return self._launcher.values(
            component, self.address_of(component), ledger=self._ledger.path, port=self._port
        )

    def _make_creator(self, creation: CreationProfile) -> Creator:
        timeout_s = creation.timeout_ms / 1000
        if creation.http is not None:
            place = self._place
            assert place is not None
            if self._wire is None:
                return HttpCreator(creation.http, HttpCalls(place.number, timeout_s))
            way = self._wire.route_http(CLIENT, place.number, place.host)
            refused = partial(self._wire.has_refused, CLIENT)
            calls = HttpCalls(way, timeout_s, refused, self._wire.host)
            return HttpCreator(creation.http, calls)
        if creation.sql is not None:
            return SqlCreator(creation.sql, self.address_of(CLIENT).url(CLIENT), timeout_s)
        spec = self.profile.producer or ComponentProfile(command=creation.command)

        def start(pipes: tuple[int, int]) -> ProcessTree:
            log = self._launcher.log_path(CLIENT)
            self._log_from[CLIENT] = log.stat().st_size if log.exists() else 0
            return self._launcher.start(CLIENT, spec, self._values(CLIENT), pipes)

        if self.profile.producer is None:
            return command_creator(start, timeout_s)
        first_s = timeout_s if spec.ready is not None else max(timeout_s, FIRST_ANSWER_S)
        producer = Producer(
            start,
            partial(self._await_producer, spec),
            timeout_s=timeout_s,
            first_s=first_s,
            is_calm=lambda: self._database.is_running,
        )
        return producer_creator(producer)

    def _await_producer(self, spec: ComponentProfile, process: ProcessTree) -> None:
        problem = self._not_ready(CLIENT, spec, process)
        if problem and not self._is_open:
            log = self._launcher.log_path(CLIENT)
            raise InfrastructureError(
                cause=f"the producer {problem}. Its log {log} ends: {log_tail(log)}",
                remedy="correct its command or its `ready` in the profile",
            )
