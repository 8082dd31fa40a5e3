"""PostgreSQL in a container. Its data is in a volume in memory, and outlives the container."""

from pathlib import Path

from psycopg.conninfo import make_conninfo

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.docker.container import ContainerPair, GateProcess
from chaosfuzz.targets.docker.image import POSTGRES_BIN
from chaosfuzz.targets.docker.orders import Program
from chaosfuzz.targets.docker.process import ContainerProcess
from chaosfuzz.targets.postgres.administration import APPLICATION_NAME, Administrator
from chaosfuzz.targets.postgres.cluster import STOP_SIGNALS, StopMode
from chaosfuzz.targets.postgres.data_directory import INITDB_OPTIONS, quick_settings

PORT = 5432
VOLUME_PATH = "/var/lib/postgresql"
SOCKET_DIRECTORY = "/run/postgresql"
_DATA = f"{VOLUME_PATH}/data"
# Chosen by hand: both take about a second on a quiet machine.
_INITDB_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 30.0
# Of postmaster.pid: LOCK_FILE_LINE_PM_STATUS in PostgreSQL's pidfile.h.
_STATUS_LINE = 8
_SETTINGS = {
    "listen_addresses": "*",
    "unix_socket_directories": SOCKET_DIRECTORY,
    # The write-ahead log takes little of the volume, which is limited.
    "min_wal_size": "32MB",
    "max_wal_size": "64MB",
}


class ContainerCluster:
    """PostgreSQL whose container dies with it (implements ClusterServer).

    The harness connects by the unix socket in a shared directory. The socket refuses at once while
    the server is down; the address of a dead container would take seconds to.
    """

    def __init__(self, pair: ContainerPair, directory: Path, gateway: str, major: int) -> None:
        self._pair = pair
        self._directory = directory
        self.host = gateway
        self.port = PORT
        self._server: GateProcess | None = None
        self.administrator = Administrator(self._admin_dsn, major, self._log_tail)
        self._settings = {**quick_settings(major), **_SETTINGS}

    @property
    def is_running(self) -> bool:
        """Whether the server's container is alive."""
        return self._server is not None and self._server.exit_code is None

    @property
    def pid(self) -> int:
        """The pid of the postmaster on this machine, 0 while stopped."""
        return self._server.host_pid if self._server is not None and self.is_running else 0

    @property
    def socket_path(self) -> Path:
        """The unix socket, seen from this machine."""
        return self._directory / f".s.PGSQL.{PORT}"

    def initialise(self) -> None:
        """Run initdb, once in the life of the volume.

        Raises InfrastructureError if initdb fails or takes too long.
        """
        argv = [f"{POSTGRES_BIN}/initdb", "-D", _DATA, *INITDB_OPTIONS]
        line = self._pair.current.booted().line
        line.run(Program(argv=argv, may_end=True))
        code = line.wait_ended(_INITDB_TIMEOUT_S)
        if code != 0:
            raise InfrastructureError(
                cause=f"initdb failed (exit code {code}). Its log ends: {self._log_tail()}",
                remedy=(
                    "correct what the log says; if it says nothing, free memory and disk space, or "
                    "run fewer lanes (--lanes); to build the image anew, remove it first (docker "
                    "rmi IMAGE), then: chaosfuzz docker build"
                ),
            )

    def start(self, timeout_s: float) -> None:
        """Start the server and wait until it accepts connections, unless it runs.

        Raises InfrastructureError if the server is not ready in time.
        """
        if self.is_running:
            return
        if self._server is not None:
            # The server ended by itself.
            self._server = None
            self._pair.swap()
        options = [f"--{name}={value}" for name, value in self._settings.items()]
        self._server = self._pair.current.run(
            Program(
                argv=[f"{POSTGRES_BIN}/postgres", "-D", _DATA, "-p", str(PORT), *options],
                ready_file=(f"{_DATA}/postmaster.pid", _STATUS_LINE, "ready"),
                # A container has few pids, so PostgreSQL may take an old lock file for a live one.
                remove=(
                    f"{_DATA}/postmaster.pid",
                    f"{SOCKET_DIRECTORY}/.s.PGSQL.{PORT}.lock",
                    f"{SOCKET_DIRECTORY}/.s.PGSQL.{PORT}",
                ),
            )
        )
        self._server.wait_ready(timeout_s)

    def stop(self, mode: StopMode) -> None:
        """Stop the server, and with it its container; nothing if it is down.

        Raises InfrastructureError if it still runs after 30 seconds.
        """
        if self._server is None:
            return
        stop_server(self._server, mode)
        self.administrator.disconnect()
        self._server = None
        self._pair.swap()

    def close(self) -> None:
        """Close the harness's connection; the lane removes the container."""
        self.administrator.disconnect()

    def _log_tail(self) -> str:
        container = self._pair.current
        return container.engine.log_tail(container.identity)

    def _admin_dsn(self, database: str) -> str:
        return make_conninfo(
            host=str(self._directory),
            port=PORT,
            user="postgres",
            dbname=database,
            application_name=APPLICATION_NAME,
            connect_timeout=10,
        )


def stop_server(server: ContainerProcess, mode: str) -> None:
    """Stop PostgreSQL in a container and wait until the container has ended.

    `mode` is fast, immediate or kill: SIGKILL to all processes at once.

    Raises InfrastructureError if the container still runs after 30 seconds.
    """
    if mode == "kill":
        server.kill_tree()
    else:
        server.resume()
        server.signal_program(STOP_SIGNALS[mode])
    if server.wait(_STOP_TIMEOUT_S) is None:
        raise InfrastructureError(
            cause=(
                f"PostgreSQL in {server.name} did not stop ({mode}) within {_STOP_TIMEOUT_S:g} s. "
                f"Its log ends: {server.log_tail()}"
            ),
            remedy=(
                "run fewer lanes (--lanes) if the machine is busy; else the log says for what it "
                "waits"
            ),
        )
