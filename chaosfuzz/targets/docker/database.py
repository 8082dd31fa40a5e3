"""PostgreSQL in a container, its data in memory that outlives the container's death."""

import os
import signal
from pathlib import Path

from psycopg.conninfo import make_conninfo

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.docker.container import ContainerProcess
from chaosfuzz.targets.docker.image import POSTGRES_BIN
from chaosfuzz.targets.docker.orders import Program
from chaosfuzz.targets.docker.slot import Slot
from chaosfuzz.targets.postgres.administration import APPLICATION_NAME, Administrator
from chaosfuzz.targets.postgres.cluster import STOP_SIGNALS, StopMode
from chaosfuzz.targets.postgres.data_directory import QUICK_SETTINGS

PORT = 5432
VOLUME_PATH = "/var/lib/postgresql"
SOCKET_DIRECTORY = "/run/postgresql"
_DATA = f"{VOLUME_PATH}/data"
_INITDB_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 30.0
_STATUS_LINE = 8
_FIRST_WITH_IO_METHOD = 18
_INITDB = ("-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-N")
_SETTINGS = {
    **QUICK_SETTINGS,
    "listen_addresses": "*",
    "unix_socket_directories": SOCKET_DIRECTORY,
    # The data's memory is limited: old log is not to fill it.
    "min_wal_size": "32MB",
    "max_wal_size": "64MB",
}


class ContainerCluster:
    """Implements ClusterServer over a container that is dead while the server is down.

    The harness reaches it by the unix socket in a directory that both share, which refuses at
    once while the server is down; an address nobody has takes seconds to.
    """

    def __init__(self, slot: Slot, directory: Path, gateway: str, major: int) -> None:
        self._slot = slot
        self._directory = directory
        self.host = gateway
        self.port = PORT
        self._server: ContainerProcess | None = None
        self._administrator = Administrator(self._admin_dsn, major, self._log_tail)
        self._settings = dict(_SETTINGS)
        if major >= _FIRST_WITH_IO_METHOD:
            self._settings["io_method"] = "sync"
        self.create_database = self._administrator.create_database
        self.drop_database = self._administrator.drop_database
        self.await_no_session = self._administrator.await_no_session
        self.terminate_backends = self._administrator.terminate_backends

    @property
    def is_running(self) -> bool:
        """Whether the server's container is alive."""
        return self._server is not None and self._server.exit_code is None

    @property
    def pid(self) -> int | None:
        """The pid of the postmaster on this machine, None while stopped."""
        if self._server is None or not self.is_running:
            return None
        return self._server.host_pid or None

    @property
    def socket_path(self) -> Path:
        """The unix socket, seen from this machine."""
        return self._directory / f".s.PGSQL.{PORT}"

    def initialise(self) -> None:
        """Make the data directory, once in the life of the volume."""
        argv = [f"{POSTGRES_BIN}/initdb", "-D", _DATA, *_INITDB]
        line = self._slot.current.booted().line
        line.run(Program(argv=argv, may_end=True))
        code = line.wait_ended(_INITDB_TIMEOUT_S)
        if code != 0:
            raise InfrastructureError(
                cause=f"initdb in a container failed (exit code {code}): {self._log_tail()}",
                remedy=(
                    "free memory and disk space on this machine; if it fails again, build the "
                    "image anew (chaosfuzz docker build)"
                ),
            )

    def start(self, timeout_s: float) -> None:
        """Start the server and wait until connections are accepted."""
        if self.is_running:
            return
        if self._server is not None:
            # It ended by itself.
            self._server = None
            self._slot.swap()
        options = [f"--{name}={value}" for name, value in self._settings.items()]
        self._server = self._slot.current.run(
            Program(
                argv=[f"{POSTGRES_BIN}/postgres", "-D", _DATA, "-p", str(PORT), *options],
                ready_file=(f"{_DATA}/postmaster.pid", _STATUS_LINE, "ready"),
                # Pids are few in a container: PostgreSQL would take others for its own.
                remove=(
                    f"{_DATA}/postmaster.pid",
                    f"{SOCKET_DIRECTORY}/.s.PGSQL.{PORT}.lock",
                    f"{SOCKET_DIRECTORY}/.s.PGSQL.{PORT}",
                ),
            )
        )
        self._server.wait_ready(timeout_s)

    def stop(self, mode: StopMode) -> None:
        """Stop the server, and with it its container; a kill takes all processes at once."""
        server = self._server
        if server is None:
            return
        if mode == "kill":
            server.kill_tree()
        else:
            server.signal(signal.SIGCONT)
            os.kill(server.host_pid, STOP_SIGNALS[mode])
        if server.wait(_STOP_TIMEOUT_S) is None:
            raise InfrastructureError(
                cause=(
                    f"PostgreSQL in a container did not stop ({mode}) within {_STOP_TIMEOUT_S:g} "
                    f"s: {self._log_tail()}"
                ),
                remedy=(
                    "run fewer lanes (--lanes) if the machine is busy; else the log tells what it "
                    "waits for"
                ),
            )
        self._administrator.disconnect()
        self._server = None
        self._slot.swap()

    def close(self) -> None:
        """Let go of the connection; the container is the lane's to remove."""
        self._administrator.disconnect()

    def _log_tail(self) -> str:
        return self._slot.current.log_tail()

    def _admin_dsn(self, database: str) -> str:
        return make_conninfo(
            host=str(self._directory),
            port=PORT,
            user="postgres",
            dbname=database,
            application_name=APPLICATION_NAME,
            connect_timeout=10,
        )
