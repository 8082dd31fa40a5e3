"""One fresh copy of a profile's system: its processes, behind a proxy, and their database."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from chaosfuzz.domain.contract import Contract, WorkerExit
from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.domain.history import Health, Observation
from chaosfuzz.domain.moment import CLIENT
from chaosfuzz.domain.outcome import Outcome, Reply, classify
from chaosfuzz.domain.target import Exit
from chaosfuzz.domain.task import Execution, TaskRequest
from chaosfuzz.domain.wire import Wire
from chaosfuzz.targets.components import SERVER, ComponentSystem, Process
from chaosfuzz.targets.http_calls import HttpCalls
from chaosfuzz.targets.keeper import ProcessTree
from chaosfuzz.targets.keeper.child import log_tail
from chaosfuzz.targets.postgres import ReservedPort
from chaosfuzz.targets.profiles.creating import Creator, HttpCreator, SqlCreator
from chaosfuzz.targets.profiles.database import Address, ProfileDatabase
from chaosfuzz.targets.profiles.health import ask_health_of
from chaosfuzz.targets.profiles.launching import Launcher
from chaosfuzz.targets.profiles.ledger import ProfileLedger
from chaosfuzz.targets.profiles.model import ComponentProfile, CreationProfile, Profile
from chaosfuzz.targets.profiles.observing import Listing, ListingObserver
from chaosfuzz.targets.profiles.producing import Producer, command_creator, producer_creator
from chaosfuzz.targets.profiles.readiness import is_ready, log_since, not_ready
from chaosfuzz.targets.restarting import Restarts
from chaosfuzz.targets.seams import ServerPlace

FIRST_ANSWER_S = 20.0


class ProfileSystem(ComponentSystem):
    """Implements System and the optional abilities that any profile's system has."""

    def __init__(
        self,
        *,
        launcher: Launcher,
        database: ProfileDatabase,
        address: Address,
        ledger: Path,
        workers: int,
        wire: Wire | None,
    ) -> None:
        super().__init__(wire)
        self.profile: Profile = launcher.profile
        self._launcher = launcher
        self._database = database
        self.address = address
        self._ledger_path = ledger
        self._ledger = ProfileLedger(ledger)
        origin = str(self.profile.path)
        self._ready_dsn = address.url("chaosfuzz-ready")
        self._observer = ListingObserver(
            address.url("chaosfuzz-observer"), self.profile.tasks, origin
        )
        self._listing = Listing(self.profile.tasks, origin)
        self._restarts = Restarts(self.profile.worker.restart)
        self._log_from: dict[str, int] = {}
        self._is_open = False
        # Launched, and not waited for until ready.
        self._starting: set[str] = set()
        self._reserved = self._place_of_server() if self.profile.server is not None else None
        self._port = self._reserved.number if self._reserved is not None else None
        self._creator: Creator | None = None
        if wire is not None:
            wire.begin()
        try:
            self._start(workers)
        except BaseException:
            self.close()
            raise

    def _place_of_server(self) -> ServerPlace:
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

    def observe(self, *, ask_health: bool, count_sessions: bool = False) -> Observation:
        """List the tasks, and ask for health and sessions if told to and if there are any."""
        asked_ns = time.monotonic_ns()
        health = Health.UNASKED
        server = self.profile.server
        if ask_health and server is not None and server.health is not None:
            assert self._reserved is not None
            place, bound_ms = self._reserved, self.contract.request_timeout_ms
            health = ask_health_of(place.number, server.health, bound_ms, place.host)
        rows = self._observer.rows() if self._database.is_running else None
        sessions = open_transactions = 0
        if count_sessions and rows is not None:
            sessions, open_transactions = self._observer.sessions()
        tasks = None if rows is None else self._listing.states(rows, self.executions())
        return Observation(
            health=health,
            at_ns=time.monotonic_ns(),
            tasks=tasks,
            health_asked_ns=asked_ns,
            components_up=tuple(sorted(self._running() - self._starting)),
            database_sessions=sessions,
            open_transactions=open_transactions,
        )

    def executions(self) -> Sequence[Execution]:
        """Read the ledger."""
        return self._ledger.executions(self._listing.ids())

    def known_ids(self) -> dict[str, str]:
        """Return the queue's ids of tokens, as far as creation or a row told them."""
        return self._listing.ids()

    def exits(self) -> Sequence[Exit]:
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

    def close(self) -> None:
        """Kill everything; leave the database running, its contents are the lane's to drop."""
        if self._creator is not None:
            self._creator.close()
        self.end_components()
        self._observer.close()
        if self._reserved is not None:
            self._reserved.close()
        if not self._database.is_running:
            self._database.start()
        self._ledger_path.unlink(missing_ok=True)

    def prepare(self, component: str) -> None:
        """Make its way to the database."""
        self._address_of(component)

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

    def _address_of(self, component: str) -> Address:
        if self._wire is None:
            return self.address
        port = self._wire.route(component, self._database.upstream)
        return replace(self.address, host=self._wire.host, port=port)

    def _values(self, component: str) -> dict[str, str]:
        return self._launcher.values(
            component, self._address_of(component), ledger=self._ledger_path, port=self._port
        )

    def _make_creator(self, creation: CreationProfile) -> Creator:
        timeout_s = creation.timeout_ms / 1000
        if creation.http is not None:
            place = self._reserved
            assert place is not None
            if self._wire is None:
                return HttpCreator(creation.http, HttpCalls(place.number, timeout_s))
            way = self._wire.route_http(CLIENT, place.number, place.host)
            refused = partial(self._wire.has_refused, CLIENT)
            calls = HttpCalls(way, timeout_s, refused, self._wire.host)
            return HttpCreator(creation.http, calls)
        if creation.sql is not None:
            return SqlCreator(creation.sql, self._address_of(CLIENT).url(CLIENT), timeout_s)
        spec = creation.producer or ComponentProfile(command=creation.command, ready=None)

        def start(pipes: tuple[int, int]) -> ProcessTree:
            log = self._launcher.log_path(CLIENT)
            self._log_from[CLIENT] = log.stat().st_size if log.exists() else 0
            return self._launcher.start(CLIENT, spec, self._values(CLIENT), pipes)

        if creation.producer is None:
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
