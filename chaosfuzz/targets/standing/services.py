"""Starts, stops, kills and reports the services: server, workers and database."""

import json
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from chaosfuzz.domain.errors import UsageError
from chaosfuzz.reference.schema import SCHEMA
from chaosfuzz.targets.keeper import Child, Keeper
from chaosfuzz.targets.keeper.process_tree import stuck
from chaosfuzz.targets.postgres import Cluster, ReservedPort, StopMode, locate_postgres
from chaosfuzz.targets.process.tuning import PREPARED, entry_of
from chaosfuzz.targets.standing.control import (
    DATABASE,
    SERVER,
    Condition,
    ServiceState,
    Status,
)

# Chosen by hand.
MAX_WORKERS = 16
_DATABASE_NAME = "reference"
# 17 components with at most 16 connections each, and 28 more. Chosen by hand, as the times below.
_MAX_CONNECTIONS = 300
_READY_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 10.0
_KILL_TIMEOUT_S = 10.0


@dataclass(kw_only=True)
class _Record:
    """The starts of a service, and how its last run ended if it has ended."""

    starts: int = 1
    since_s: float = field(default_factory=time.monotonic)
    ending: Condition = "exited"

    def state(self, name: str, pid: int | None, exit_code: int | None = None) -> ServiceState:
        """Return the state of the service; it runs if it has a pid."""
        return ServiceState(
            name=name,
            condition="running" if pid is not None else self.ending,
            pid=pid,
            exit_code=exit_code,
            up_s=round(time.monotonic() - self.since_s, 3) if pid is not None else None,
            starts=self.starts,
        )


@dataclass(kw_only=True)
class _Process(_Record):
    """The last process of a component."""

    child: Child
    exit_code: int | None = None

    def is_running(self) -> bool:
        """Say whether the process lives; if it has ended, keep its exit code."""
        if self.exit_code is None:
            self.exit_code = self.child.exit_code
            if self.exit_code is not None:
                self.child.close()
        return self.exit_code is None


class Services:
    """Owns the cluster in `directory` and all processes; for one thread.

    All components share the settings `pace`. A service that ends by itself stays down, so that its
    crash can be seen. With `keeps`, `close` leaves the database in the directory. The constructor
    starts the database; it raises InfrastructureError if PostgreSQL cannot be started or the port
    is taken.
    """

    def __init__(
        self,
        *,
        directory: Path,
        logs: Path,
        port: int | None,
        pace: Mapping[str, float],
        admin_password: str,
        defects: Sequence[str] = (),
        keeps: bool = False,
    ) -> None:
        self._logs = logs
        self._pace = pace
        self._admin_password = admin_password
        self._defects = tuple(defects)
        self._keeps = keeps
        self.ledger_path = logs / "ledger.jsonl"
        self._reserved = ReservedPort(port)
        self.port = self._reserved.number
        self._processes: dict[str, _Process] = {}
        self._database = _Record()
        self._keeper = Keeper(PREPARED)
        try:
            self._cluster = Cluster(self._keeper, locate_postgres(), directory)
            self._prepare_database()
        except BaseException:
            self._keeper.close()
            raise

    def start(self, name: str) -> None:
        """Start the server or a worker, and wait until it is ready.

        Raises UsageError if it runs already, InfrastructureError if it is not ready within 20 s.
        """
        last = self._processes.get(name)
        if last is not None and last.is_running():
            message = f"{name} is running already"
            raise UsageError(cause=message, remedy="see what runs with: chaosfuzz workers status")
        child = self._keeper.fork(
            entry_of(name), json.dumps(self._settings(name)), self._logs / f"{name}.log"
        )
        starts = last.starts + 1 if last is not None else 1
        self._processes[name] = _Process(child=child, starts=starts)
        child.wait_ready(_READY_TIMEOUT_S)

    def end(self, name: str, *, graceful: bool) -> None:
        """End the server or a worker and wait until it is gone.

        `graceful` sends SIGTERM, and SIGKILL 10 s later; otherwise it is SIGKILL at once. Raises
        UsageError if the service does not run, InfrastructureError if it survives SIGKILL.
        """
        process = self._processes.get(name)
        if process is None or not process.is_running():
            running = ", ".join(self.status().running())
            choice = f", or choose among what runs: {running}" if running else ""
            raise UsageError(
                cause=f"{name} is not running, so it cannot be stopped or killed",
                remedy=f"nothing to do{choice or '; no server or worker runs'}",
            )
        child = process.child
        process.ending = "stopped" if graceful else "killed"
        if graceful:
            child.signal(signal.SIGTERM)
        if not graceful or child.wait(_STOP_TIMEOUT_S) is None:
            process.ending = "killed"
            child.kill_tree()
        if child.wait(_KILL_TIMEOUT_S) is None:
            raise stuck(name, child.pid, "survives SIGKILL", _KILL_TIMEOUT_S)
        process.is_running()

    def stop_database(self, mode: StopMode) -> None:
        """Stop PostgreSQL and wait until all its processes have ended; `kill` is SIGKILL.

        Raises UsageError if it does not run, InfrastructureError if it does not stop.
        """
        if not self._cluster.is_running:
            message = "the database is not running"
            raise UsageError(cause=message, remedy="start it with: chaosfuzz service db-start")
        self._cluster.stop(mode)
        self._database.ending = "killed" if mode == "kill" else "stopped"

    def start_database(self) -> None:
        """Start PostgreSQL and wait until it accepts connections.

        Raises UsageError if it runs already, InfrastructureError if it does not start.
        """
        if self._cluster.is_running:
            message = "the database is running already"
            raise UsageError(cause=message, remedy="stop it first with: chaosfuzz service db-stop")
        self._cluster.start(_READY_TIMEOUT_S)
        self._database = _Record(starts=self._database.starts + 1)

    def add_workers(self, count: int) -> None:
        """Start so many more workers; they take the lowest free numbers.

        Raises UsageError if there would be more than 16.
        """
        running = set(self.status().running_workers())
        if len(running) + count > MAX_WORKERS:
            message = f"{len(running) + count} workers are too many"
            raise UsageError(cause=message, remedy=f"run {MAX_WORKERS} at most")
        names = (f"worker-{slot}" for slot in range(1, MAX_WORKERS + 1))
        for name in [name for name in names if name not in running][:count]:
            self.start(name)

    def scale(self, count: int) -> None:
        """Start workers, or shut down those with the highest numbers, until so many run.

        Raises UsageError if there would be more than 16.
        """
        running = _by_number(self.status().running_workers())
        if count >= len(running):
            self.add_workers(count - len(running))
        for name in running[count:]:
            self.end(name, graceful=True)

    def status(self) -> Status:
        """Return the state of every service that was ever started."""
        workers = _by_number(name for name in self._processes if name != SERVER)
        states = [self._database.state(DATABASE, self._cluster.pid)]
        for name in (SERVER, *workers):
            if (process := self._processes.get(name)) is not None:
                pid = process.child.pid if process.is_running() else None
                states.append(process.state(name, pid, process.exit_code))
        return Status(services=tuple(states))

    def close(self) -> None:
        """Kill all processes, stop the database, and remove it unless it is to be kept."""
        try:
            for name in self.status().running():
                self._processes[name].child.kill_tree()
            self._cluster.dispose(keep_data=self._keeps)
        finally:
            self._keeper.close()
            self._reserved.close()

    def _prepare_database(self) -> None:
        self._cluster.start(_READY_TIMEOUT_S)
        administrator = self._cluster.administrator
        if not administrator.has_database(_DATABASE_NAME):
            administrator.create_database(_DATABASE_NAME)
        administrator.apply(_DATABASE_NAME, SCHEMA)
        # Enough for 16 workers and a server. The setting takes effect at the next start.
        with psycopg.connect(self._cluster.dsn(over="unix"), autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET max_connections = {_MAX_CONNECTIONS}")
        self._cluster.stop("fast")
        self._cluster.start(_READY_TIMEOUT_S)
        self._database = _Record()
        self.dsn = self._cluster.dsn(_DATABASE_NAME)

    def _settings(self, name: str) -> dict[str, object]:
        settings: dict[str, object] = {
            **self._pace,
            "dsn": f"{self.dsn} application_name={name}",
            "component": name,
            "port": self.port,
            "ledger_path": str(self.ledger_path),
            "defects": list(self._defects),
        }
        if name == SERVER:
            settings["initial_admin_password"] = self._admin_password
        return settings


def _by_number(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: int(name.rpartition("-")[2]))
