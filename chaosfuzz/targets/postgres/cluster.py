"""One PostgreSQL cluster, started and stopped by signals rather than by pg_ctl."""

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import psycopg

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.keeper import Child, Keeper
from chaosfuzz.targets.keeper.child import log_tail
from chaosfuzz.targets.keeper.process_tree import PROC, Pidfds, descendants_of, stat_fields
from chaosfuzz.targets.postgres.administration import APPLICATION_NAME, Administrator
from chaosfuzz.targets.postgres.data_directory import (
    SERVER_ENVIRONMENT,
    check_directory,
    initialise,
    make_accessible,
)
from chaosfuzz.targets.postgres.locator import Installation
from chaosfuzz.targets.postgres.ports import ReservedPort
from chaosfuzz.targets.postgres.runtime_directory import create_runtime_directory
from chaosfuzz.targets.postgres.shared_memory import remove_shared_memory

StopMode = Literal["fast", "immediate", "kill"]

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 30.0
_POLL_INTERVAL_S = 0.003
_PORT_ATTEMPTS = 5
_SCARCE_BYTES = 16 * 1024 * 1024
_MAXIMUM_SOCKET_PATH_BYTES = 107
# Of postmaster.pid: LOCK_FILE_LINE_PM_STATUS in PostgreSQL's pidfile.h.
_STATUS_LINE = 8
STOP_SIGNALS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT, "kill": signal.SIGKILL}
_PORT_TAKEN = ("could not bind", "could not create any TCP/IP sockets")


class Cluster:
    """A cluster in `directory`: data, log and socket. Its processes end with the keeper.

    Raises:
        UsageError: the directory cannot be written.
        InfrastructureError: no space, no access for the unprivileged account, or `port` is taken.

    """

    host = "127.0.0.1"

    def __init__(
        self,
        keeper: Keeper,
        installation: Installation,
        directory: Path,
        port: int | None = None,
    ) -> None:
        self._keeper = keeper
        self.directory = directory.resolve()
        check_directory(self.directory)
        self._installation = make_accessible(keeper, installation, self.directory)
        self.data_directory = self.directory / "data"
        self.log_path = self.directory / "postgres.log"
        self._socket_directory = self._short_directory()
        self._port_is_given = port is not None
        self._reservation = ReservedPort(port)
        self._has_started = False
        self._server: Child | None = None
        self._administrator = Administrator(self._admin_dsn, installation.major, self._explain)
        self.drop_database = self._administrator.drop_database
        self.prepare_template = self._administrator.prepare_template
        self.has_database = self._administrator.has_database
        self.apply = self._administrator.apply
        self.await_no_session = self._administrator.await_no_session
        self.terminate_backends = self._administrator.terminate_backends

    @property
    def port(self) -> int:
        """The TCP port; it stays the same from the first start on, also while stopped."""
        return self._reservation.number

    @property
    def socket_path(self) -> Path:
        """The unix socket that the server listens on while it runs."""
        return self._socket_directory / f".s.PGSQL.{self.port}"

    @property
    def pid(self) -> int | None:
        """The pid of the postmaster, None while stopped."""
        return self._server.pid if self._server is not None and self.is_running else None

    @property
    def is_running(self) -> bool:
        """Whether the postmaster is alive."""
        return self._server is not None and self._server.exit_code is None

    def dsn(self, database: str = "postgres", over: Literal["tcp", "unix"] = "tcp") -> str:
        """Return the connection string of a database."""
        host = self.host if over == "tcp" else str(self._socket_directory)
        return psycopg.conninfo.make_conninfo(
            host=host, port=self.port, user="postgres", dbname=database
        )

    def create_database(self, name: str, template: str = "template1") -> None:
        """Create a database as a copy of `template`, to which nobody may be connected.

        Raises:
            InfrastructureError: the server refuses or is gone.

        """
        self._administrator.create_database(name, template)

    def start(self, timeout_s: float = _START_TIMEOUT_S) -> None:
        """Start and wait until connections are accepted; the first time, run initdb before.

        Raises:
            InfrastructureError: it died, took too long, or its port was taken.

        """
        if self.is_running:
            return
        if not (self.data_directory / "PG_VERSION").exists():
            initialise(
                self._keeper, self._installation, self.data_directory, self._socket_directory
            )
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            from_byte = self.log_path.stat().st_size if self.log_path.exists() else 0
            if self._launch(timeout_s):
                self._has_started = True
                return
            said = log_tail(self.log_path, from_byte)
            taken = any(sign in said for sign in _PORT_TAKEN)
            if not taken or self._port_is_given or self._has_started or attempt == _PORT_ATTEMPTS:
                cause = f"port {self.port} is taken" if taken else "it ended while starting"
                remedy = "free the port" if taken else "correct what the log says"
                message = f"PostgreSQL did not start: {cause}. Its log {self.log_path} ends: {said}"
                raise InfrastructureError(cause=message, remedy=remedy)
            self._reservation.close()
            self._reservation = ReservedPort()

    def stop(self, mode: StopMode = "fast", timeout_s: float = _STOP_TIMEOUT_S) -> None:
        """Stop and wait until every process of the cluster is gone.

        `fast` rolls back and checkpoints, `immediate` leaves recovery to the next start, `kill`
        SIGKILLs all processes at once.

        Raises:
            InfrastructureError: a process is still there at the deadline.

        """
        server = self._server
        if server is None:
            return
        deadline = time.monotonic() + timeout_s
        if mode == "kill":
            self._freeze(server, deadline)
        with Pidfds(descendants_of(server.pid) if self.is_running else ()) as processes:
            if mode == "kill":
                server.signal(signal.SIGKILL)
                processes.send(signal.SIGKILL)
            else:
                server.signal(STOP_SIGNALS[mode])
                # A paused process would hold the shutdown up for ever.
                processes.send(signal.SIGCONT)
                server.signal(signal.SIGCONT)
            ended = server.wait(timeout_s)
            remaining = processes.wait(deadline - time.monotonic())
        if ended is None or remaining:
            raise InfrastructureError(
                cause=(
                    f"PostgreSQL {server.pid} (backends {remaining}) did not stop ({mode}) within "
                    f"{timeout_s:g} s. Its log {self.log_path} ends: {log_tail(self.log_path)}"
                ),
                remedy=(
                    "run fewer lanes (--lanes) if the machine is busy; else the log tells what it "
                    "waits for"
                ),
            )
        self._end_orphans(timeout_s)
        self._administrator.disconnect()
        server.close()
        self._server = None

    def dispose(self) -> None:
        """Kill the cluster; remove its shared memory and its directory.

        Raises:
            InfrastructureError: a process survives, or a file cannot be removed.

        """
        self._administrator.disconnect()
        self.stop("kill")
        self._reservation.close()
        remove_shared_memory(self.data_directory)
        try:
            for directory in {self.directory, self._socket_directory}:
                shutil.rmtree(directory)
        except FileNotFoundError:
            return
        except OSError as error:
            raise InfrastructureError(
                cause=f"cannot remove {self.directory}: {error}", remedy="remove it by hand"
            ) from error

    def retire(self) -> None:
        """Stop the cluster; keep its directory, from which another one can be started.

        Raises:
            InfrastructureError: a process survives.

        """
        self._administrator.disconnect()
        self.stop("fast")
        self._reservation.close()
        if self._socket_directory != self.directory:
            shutil.rmtree(self._socket_directory, ignore_errors=True)

    def _launch(self, timeout_s: float) -> bool:
        """Start the server and wait; return False if it ended."""
        self._end_orphans(timeout_s)
        self._clear_locks()
        if self._server is not None:
            self._server.close()
        program = self._installation.program("postgres")
        # The socket is not where it was if the directory is from an earlier time.
        sockets = f"unix_socket_directories={self._socket_directory}"
        arguments: Sequence[str] = [
            *("-D", str(self.data_directory), "-p", str(self.port)),
            *("-c", sockets),
        ]
        self._server = server = self._keeper.execute(
            [str(program), *arguments],
            environment=SERVER_ENVIRONMENT,
            log_path=self.log_path,
            user="unprivileged",
            working_directory=self.directory,
        )
        deadline = time.monotonic() + timeout_s
        # The wait ends at once if the server does; there is no event for its readiness.
        while server.wait(_POLL_INTERVAL_S) is None:
            if self._says_ready():
                return True
            if time.monotonic() > deadline:
                said = log_tail(self.log_path)
                self.stop("kill")
                raise InfrastructureError(
                    cause=(
                        f"PostgreSQL was not ready within {timeout_s:g} s. Its log "
                        f"{self.log_path} ends: {said}"
                    ),
                    remedy=(
                        "correct what the log says; if it was only slow, run fewer lanes (--lanes)"
                    ),
                )
        return False

    def _says_ready(self) -> bool:
        """Say whether the postmaster takes connections, by the last line of its own file.

        As pg_ctl does; a connection to find out would cost a backend its start.
        """
        try:
            lines = (self.data_directory / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= _STATUS_LINE and lines[_STATUS_LINE - 1].strip() == "ready"

    def _freeze(self, server: Child, deadline: float) -> None:
        """Pause the postmaster, so that it neither forks nor reaps while it is looked at."""
        if not server.signal(signal.SIGSTOP):
            return
        while server.wait(0.001) is None and time.monotonic() < deadline:
            fields = stat_fields(server.pid)
            if fields and fields[0] in "TZX":
                return

    def _end_orphans(self, timeout_s: float) -> None:
        """End backends that outlived a postmaster that was killed alone: they could still write."""

        def is_ours(pid: int) -> bool:
            with contextlib.suppress(OSError):
                return (PROC / str(pid) / "cwd").readlink() == self.data_directory
            return False

        suspects = [pid for pid in descendants_of(self._keeper.pid) if is_ours(pid)]
        with Pidfds(suspects) as orphans:
            # Looked at again with the handles open: a pid may have changed hands before.
            orphans.retain(is_ours)
            orphans.send(signal.SIGKILL)
            remaining = orphans.wait(timeout_s)
        if remaining:
            raise InfrastructureError(
                cause=f"backends {remaining} of {self.data_directory} survive SIGKILL",
                remedy=(
                    "look at their state (ps -o stat,wchan PID); state D waits for a device, "
                    "which only a reboot ends"
                ),
            )

    def _clear_locks(self) -> None:
        # All processes are known to be gone, whereas PostgreSQL goes by a pid that may be
        # another's by now.
        remove_shared_memory(self.data_directory)
        socket_lock = self._socket_directory / f".s.PGSQL.{self.port}.lock"
        for path in (self.data_directory / "postmaster.pid", socket_lock):
            path.unlink(missing_ok=True)
        socket_lock.with_suffix("").unlink(missing_ok=True)

    def _short_directory(self) -> Path:
        longest = self.directory / ".s.PGSQL.65535.lock"
        if len(os.fsencode(longest)) <= _MAXIMUM_SOCKET_PATH_BYTES:
            return self.directory
        return create_runtime_directory(f"socket of {self.directory}")

    def _explain(self) -> str:
        """Say what keeps the server from working, if that can be seen from outside."""
        free_bytes = shutil.disk_usage(self.directory).free
        if free_bytes < _SCARCE_BYTES:
            return (
                f"; only {free_bytes >> 10} kB are free for {self.directory}: free some, "
                "or set TMPDIR to a larger disk"
            )
        return "" if self.is_running else f"; {self.log_path}: {log_tail(self.log_path)}"

    def _admin_dsn(self, database: str) -> str:
        return psycopg.conninfo.make_conninfo(
            self.dsn(database, over="unix"),
            application_name=APPLICATION_NAME,
            connect_timeout=10,
        )
