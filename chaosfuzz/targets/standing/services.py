"""Server, workers and database as services: started, stopped, killed, and looked at."""

import json
import signal
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.reference.schema import SCHEMA
from chaosfuzz.targets.keeper import Child, Keeper
from chaosfuzz.targets.postgres import Cluster, ReservedPort, StopMode, locate_postgres
from chaosfuzz.targets.process.tuning import PREPARED, SERVER_ENTRY, WORKER_ENTRY
from chaosfuzz.targets.standing.pace import Pace
from chaosfuzz.targets.standing.status import DATABASE, SERVER, Condition, ServiceState, Status

MAX_WORKERS = 16
_DATABASE_NAME = "reference"
_MAX_CONNECTIONS = 300
_READY_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 10.0
_KILL_TIMEOUT_S = 10.0


@dataclass(kw_only=True)
class _Process:
    """A component's process, or the end of its last one."""

    child: Child
    since_s: float
    starts: int
    ending: Condition = "exited"
    exit_code: int | None = None


class Services:
    """Owns the processes; used by one thread. The cluster is in `directory`.

    Nothing that ended is started again unless somebody says so: a crash stays to be seen.

    Raises:
        InfrastructureError: PostgreSQL or a process cannot be started, or the port is taken.

    """

    def __init__(
        self,
        *,
        directory: Path,
        logs: Path,
        port: int | None,
        pace: Pace,
        admin_password: str,
        defects: Sequence[str] = (),
        keeps: bool = False,
    ) -> None:
        self._logs = logs
        self._pace = pace
        self._admin_password = admin_password
        self._defects = tuple(defects)
        self._keeps = keeps
        self._reserved = ReservedPort(port)
        self._processes: dict[str, _Process] = {}
        self._database_ending: Condition = "exited"
        self._database_starts = 1
        self._database_since_s = time.monotonic()
        self._keeper = Keeper(PREPARED)
        try:
            self._cluster = Cluster(self._keeper, locate_postgres(), directory)
            self._prepare_database()
        except BaseException:
            self._keeper.close()
            raise

    @property
    def port(self) -> int:
        """The server's port."""
        return self._reserved.number

    @property
    def dsn(self) -> str:
        """The connection string of the system's database."""
        return self._cluster.dsn(_DATABASE_NAME)

    @property
    def ledger_path(self) -> Path:
        """Where workers record what they run."""
        return self._logs / "ledger.jsonl"

    def start(self, name: str) -> None:
        """Start a service that does not run, and wait until it is ready.

        Raises:
            UsageError: it runs already.
            InfrastructureError: it does not become ready.

        """
        last = self._processes.get(name)
        if last is not None and self._is_running(last):
            message = f"{name} is running already"
            raise UsageError(cause=message, remedy="see what runs with: chaosfuzz workers status")
        child = self._keeper.fork(
            SERVER_ENTRY if name == SERVER else WORKER_ENTRY,
            json.dumps(self._settings(name)),
            self._logs / f"{name}.log",
        )
        starts = last.starts + 1 if last is not None else 1
        process = _Process(child=child, since_s=time.monotonic(), starts=starts)
        self._processes[name] = process
        child.wait_ready(_READY_TIMEOUT_S)

    def end(self, name: str, *, graceful: bool) -> None:
        """End a service by SIGTERM, which leaves it 10 s, or by SIGKILL; wait until it is gone.

        Raises:
            UsageError: it does not run.
            InfrastructureError: it survives SIGKILL.

        """
        process = self._processes.get(name)
        if process is None or not self._is_running(process):
            raise self._not_running(name)
        child = process.child
        process.ending = "stopped" if graceful else "killed"
        if graceful:
            child.signal(signal.SIGTERM)
        if not graceful or child.wait(_STOP_TIMEOUT_S) is None:
            process.ending = "killed"
            child.kill_tree()
        if child.wait(_KILL_TIMEOUT_S) is None:
            raise InfrastructureError(
                cause=f"{name} (pid {child.pid}) survives SIGKILL",
                remedy=(
                    f"look at its state (ps -o stat,wchan {child.pid}); state D waits for a "
                    "device, which only a reboot ends"
                ),
            )
        self._is_running(process)

    def stop_database(self, mode: StopMode) -> None:
        """Stop PostgreSQL; `kill` is SIGKILL for all its processes.

        Raises:
            UsageError: it does not run.
            InfrastructureError: it does not stop.

        """
        if not self._cluster.is_running:
            message = "the database is not running"
            raise UsageError(cause=message, remedy="start it with: chaosfuzz service db-start")
        self._cluster.stop(mode)
        self._database_ending = "killed" if mode == "kill" else "stopped"

    def start_database(self) -> None:
        """Start PostgreSQL and wait until it takes connections.

        Raises:
            UsageError: it runs already.
            InfrastructureError: it does not start.

        """
        if self._cluster.is_running:
            message = "the database is running already"
            raise UsageError(cause=message, remedy="stop it first with: chaosfuzz service db-stop")
        self._cluster.start(_READY_TIMEOUT_S)
        self._database_starts += 1
        self._database_ending = "exited"
        self._database_since_s = time.monotonic()

    def add_workers(self, count: int) -> None:
        """Start so many more workers, in the lowest numbers that are free.

        Raises:
            UsageError: there would be too many.

        """
        running = set(self.status().running_workers())
        if len(running) + count > MAX_WORKERS:
            message = f"{len(running) + count} workers are too many"
            raise UsageError(cause=message, remedy=f"run {MAX_WORKERS} at most")
        names = (f"worker-{slot}" for slot in range(1, MAX_WORKERS + 1))
        for name in [name for name in names if name not in running][:count]:
            self.start(name)

    def scale(self, count: int) -> None:
        """Start workers, or stop those of the highest numbers, until so many run.

        Raises:
            UsageError: that is too many.

        """
        running = _by_number(self.status().running_workers())
        if count >= len(running):
            self.add_workers(count - len(running))
        for name in running[count:]:
            self.end(name, graceful=True)

    def status(self) -> Status:
        """Look at every service."""
        workers = _by_number(name for name in self._processes if name != SERVER)
        names = [name for name in (SERVER, *workers) if name in self._processes]
        return Status(services=(self._database_state(), *(self._state(name) for name in names)))

    def close(self) -> None:
        """End everything; remove the database unless it is to be kept."""
        try:
            for name in [s.name for s in self.status().services if s.condition == "running"]:
                if name != DATABASE:
                    self._processes[name].child.kill_tree()
            if self._keeps:
                self._cluster.retire()
            else:
                self._cluster.dispose()
        finally:
            self._keeper.close()
            self._reserved.close()

    def _prepare_database(self) -> None:
        self._cluster.start(_READY_TIMEOUT_S)
        if self._cluster.has_database(_DATABASE_NAME):
            self._cluster.apply(_DATABASE_NAME, SCHEMA)
        else:
            self._cluster.prepare_template(_DATABASE_NAME, SCHEMA)
        # Enough for the most workers, at the price of a restart once.
        with psycopg.connect(self._cluster.dsn(over="unix"), autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET max_connections = {_MAX_CONNECTIONS}")
        self._cluster.stop("fast")
        self._cluster.start(_READY_TIMEOUT_S)
        self._database_since_s = time.monotonic()

    def _settings(self, name: str) -> dict[str, object]:
        settings: dict[str, object] = {
            **self._pace.settings(),
            "dsn": f"{self.dsn} application_name={name}",
            "component": name,
            "port": self.port,
            "ledger_path": str(self.ledger_path),
            "defects": list(self._defects),
        }
        if name == SERVER:
            settings["initial_admin_password"] = self._admin_password
        return settings

    def _is_running(self, process: _Process) -> bool:
        if process.exit_code is None:
            process.exit_code = process.child.exit_code
            if process.exit_code is not None:
                process.child.close()
        return process.exit_code is None

    def _state(self, name: str) -> ServiceState:
        process = self._processes[name]
        running = self._is_running(process)
        return ServiceState(
            name=name,
            condition="running" if running else process.ending,
            pid=process.child.pid if running else None,
            exit_code=process.exit_code,
            up_s=round(time.monotonic() - process.since_s, 3) if running else None,
            starts=process.starts,
        )

    def _database_state(self) -> ServiceState:
        running = self._cluster.is_running
        up_s = round(time.monotonic() - self._database_since_s, 3) if running else None
        return ServiceState(
            name=DATABASE,
            condition="running" if running else self._database_ending,
            pid=self._cluster.pid,
            up_s=up_s,
            starts=self._database_starts,
        )

    def _not_running(self, name: str) -> UsageError:
        names = [s.name for s in self.status().services if s.condition == "running"]
        running = ", ".join(each for each in names if each != DATABASE) or "none"
        return UsageError(
            cause=f"{name} is not running", remedy=f"choose among what runs: {running}"
        )


def _by_number(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: int(name.rpartition("-")[2]))
