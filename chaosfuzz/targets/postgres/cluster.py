"""A PostgreSQL cluster whose server is started by a keeper and stopped by signals."""

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Literal

import psycopg

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.keeper import Child, Keeper
from chaosfuzz.targets.keeper.child import log_tail
from chaosfuzz.targets.keeper.process_tree import (
    PROC,
    Pidfds,
    descendants_of,
    kill_verified,
    stat_fields,
)
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
from chaosfuzz.targets.postgres.shared_memory import postmaster_lines, remove_shared_memory

StopMode = Literal["fast", "immediate", "kill"]

# Chosen by hand: start and stop take less than 3 s each on a busy machine with 2 cores.
_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 30.0
_POLL_INTERVAL_S = 0.003
_PORT_ATTEMPTS = 5
# One segment of the write-ahead log.
_SCARCE_BYTES = 16 * 1024 * 1024
# sun_path has 108 bytes on Linux, the last of which is the terminating zero.
_MAXIMUM_SOCKET_PATH_BYTES = 107
# The line of postmaster.pid: LOCK_FILE_LINE_PM_STATUS in PostgreSQL's pidfile.h.
_STATUS_LINE = 8
STOP_SIGNALS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT, "kill": signal.SIGKILL}
_PORT_TAKEN = ("could not bind", "could not create any TCP/IP sockets")


class Cluster:
    """A cluster in `directory` (data, log and socket); its processes end with the keeper.

    Without `port` it takes a free one. The constructor reserves the port and starts nothing. It
    raises UsageError if the directory cannot be written, and InfrastructureError if less than
    256 MB are free, if `nobody` cannot enter it, or if `port` is taken.
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
        self.administrator = Administrator(self._admin_dsn, installation.major, self._explain)

    @property
    def port(self) -> int:
        """The TCP port; the first start may choose another, after that it never changes."""
        return self._reservation.number

    @property
    def socket_path(self) -> Path:
        """The path of the unix socket at which the server listens while it runs."""
        return self._socket_directory / f".s.PGSQL.{self.port}"

    @property
    def pid(self) -> int | None:
        """The pid of the postmaster, None while it does not run."""
        return self._server.pid if self._server is not None and self.is_running else None

    @property
    def is_running(self) -> bool:
        """Whether the postmaster lives."""
        return self._server is not None and self._server.exit_code is None

    def dsn(self, database: str = "postgres", over: Literal["tcp", "unix"] = "tcp") -> str:
        """Return the superuser's connection string of a database."""
        host = self.host if over == "tcp" else str(self._socket_directory)
        return psycopg.conninfo.make_conninfo(
            host=host, port=self.port, user="postgres", dbname=database
        )

    def start(self, timeout_s: float = _START_TIMEOUT_S) -> None:
        """Start the server and wait until it accepts connections; do nothing if it runs.

        Without a data directory, initdb is run first. If the port has been taken meanwhile, the
        first start of a cluster without a given port tries others. Raises InfrastructureError if
        the server dies, is not ready within `timeout_s` seconds, or finds its port taken.
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
            log_end = log_tail(self.log_path, from_byte)
            taken = any(sign in log_end for sign in _PORT_TAKEN)
            if not taken or self._port_is_given or self._has_started or attempt == _PORT_ATTEMPTS:
                reason = f"port {self.port} is taken" if taken else "it ended while starting"
                raise InfrastructureError(
                    cause=(
                        f"PostgreSQL did not start: {reason}. Its log {self.log_path} ends: "
                        f"{log_end}"
                    ),
                    remedy="free the port" if taken else "correct what the log says",
                )
            self._reservation.close()
            self._reservation = ReservedPort()

    def stop(self, mode: StopMode = "fast", timeout_s: float = _STOP_TIMEOUT_S) -> None:
        """Stop the server and wait until all its processes have ended; do nothing if stopped.

        `fast` rolls back transactions and writes a checkpoint, `immediate` leaves recovery to the
        next start, `kill` sends SIGKILL to all processes at once. Raises InfrastructureError if a
        process is still there after `timeout_s` seconds.
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
                # The shutdown would wait for ever for a paused process.
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
                    "run fewer lanes (--lanes) if the machine is busy; else the log says what the "
                    "server waits for"
                ),
            )
        self._end_orphans(timeout_s)
        self.administrator.disconnect()
        server.close()
        self._server = None

    def dispose(self, *, keep_data: bool = False) -> None:
        """Kill the server; remove its shared memory and the cluster's directories.

        With `keep_data` the server is stopped `fast`, and `directory` stays: another Cluster can
        start on it. Raises InfrastructureError if a process survives or a file cannot be removed.
        """
        self.administrator.disconnect()
        self.stop("fast" if keep_data else "kill")
        self._reservation.close()
        remove_shared_memory(self.data_directory)
        directories = {self._socket_directory, self.directory}
        try:
            for directory in directories - ({self.directory} if keep_data else set()):
                with contextlib.suppress(FileNotFoundError):
                    shutil.rmtree(directory)
        except OSError as error:
            raise InfrastructureError(
                cause=f"cannot remove {error.filename}: {error}", remedy="remove it by hand"
            ) from error

    def _launch(self, timeout_s: float) -> bool:
        """Start the server and wait until it is ready; return False if it ended before."""
        self._end_orphans(timeout_s)
        self._clear_locks()
        if self._server is not None:
            self._server.close()
        program = self._installation.program("postgres")
        # A kept data directory names the socket directory of an earlier run.
        sockets = f"unix_socket_directories={self._socket_directory}"
        place = ["-D", str(self.data_directory), "-p", str(self.port), "-c", sockets]
        self._server = server = self._keeper.execute(
            [str(program), *place],
            environment=SERVER_ENVIRONMENT,
            log_path=self.log_path,
            user="unprivileged",
            working_directory=self.directory,
        )
        deadline = time.monotonic() + timeout_s
        # The wait ends when the server ends; PostgreSQL signals no readiness, so it is polled.
        while server.wait(_POLL_INTERVAL_S) is None:
            if self._says_ready():
                return True
            if time.monotonic() > deadline:
                log_end = log_tail(self.log_path)
                self.stop("kill")
                raise InfrastructureError(
                    cause=(
                        f"PostgreSQL was not ready within {timeout_s:g} s. Its log "
                        f"{self.log_path} ends: {log_end}"
                    ),
                    remedy=(
                        "correct what the log says; if it was only slow, run fewer lanes (--lanes)"
                    ),
                )
        return False

    def _says_ready(self) -> bool:
        """Say whether the server accepts connections, by the status line of postmaster.pid.

        pg_ctl does the same. Connecting instead would start a backend each time.
        """
        lines = postmaster_lines(self.data_directory)
        return len(lines) >= _STATUS_LINE and lines[_STATUS_LINE - 1].strip() == "ready"

    def _freeze(self, server: Child, deadline: float) -> None:
        """Stop the postmaster by SIGSTOP, so that it forks and reaps no backend meanwhile."""
        if not server.signal(signal.SIGSTOP):
            return
        while server.wait(0.001) is None and time.monotonic() < deadline:
            fields = stat_fields(server.pid)
            if fields and fields[0] in "TZX":
                return

    def _end_orphans(self, timeout_s: float) -> None:
        """Kill backends that outlived their postmaster: they could still write to the data."""

        def is_ours(pid: int) -> bool:
            with contextlib.suppress(OSError):
                return (PROC / str(pid) / "cwd").readlink() == self.data_directory
            return False

        orphans = [pid for pid in descendants_of(self._keeper.pid) if is_ours(pid)]
        kill_verified(orphans, is_ours, f"a backend of {self.data_directory}", timeout_s)

    def _clear_locks(self) -> None:
        # PostgreSQL would refuse to start if another process had the pid in postmaster.pid by now.
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
        """Return why the server may not work: a full disk, or the end of a dead server's log."""
        free_bytes = shutil.disk_usage(self.directory).free
        if free_bytes < _SCARCE_BYTES:
            return (
                f"; only {free_bytes >> 10} kB are free for {self.directory}: free space there, "
                "or set TMPDIR to a larger disk"
            )
        return "" if self.is_running else f"; {self.log_path}: {log_tail(self.log_path)}"

    def _admin_dsn(self, database: str) -> str:
        return psycopg.conninfo.make_conninfo(
            self.dsn(database, over="unix"),
            application_name=APPLICATION_NAME,
            connect_timeout=10,
        )
