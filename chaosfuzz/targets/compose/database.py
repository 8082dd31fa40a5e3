"""The PostgreSQL service of a compose project (implements Database)."""

import time
from collections.abc import Callable
from dataclasses import replace

import psycopg

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.compose.project import Project
from chaosfuzz.targets.docker.database import stop_server
from chaosfuzz.targets.docker.process import ContainerProcess
from chaosfuzz.targets.postgres.database import Address, run_sql
from chaosfuzz.targets.profiles.model import Profile

# Chosen by hand: PostgreSQL starts in about a second, after a kill it recovers first.
_START_TIMEOUT_S = 60.0
_CONNECT_TIMEOUT_S = 5
_RETRY_S = 0.02


class ComposeDatabase:
    """The one database of the profile, which the services know by name; emptied for each schedule.

    Raises InfrastructureError if the service's container does not start or has no address.
    """

    def __init__(self, profile: Profile, project: Project) -> None:
        assert profile.compose is not None
        assert profile.database.dsn is not None
        self._profile = profile
        self._service = profile.compose.database
        self._project = project
        self._address = replace(
            Address.of_dsn(profile.database.dsn), host="", port=profile.compose.database_port
        )
        self._process: ContainerProcess | None = None
        self._start_container()

    @property
    def is_running(self) -> bool:
        """Whether the container lives."""
        return self._process is not None and self._process.exit_code is None

    @property
    def upstream(self) -> tuple[str, int]:
        """The container's address and port; the address may change with a start."""
        return self._address.host, self._address.port

    def prepare(self, set_up: Callable[[Address], None]) -> None:
        """Set up the database."""
        set_up(self._address)

    def fresh(self) -> Address:
        """Empty the database by the profile's `reset_sql`."""
        statement = self._profile.database.reset_sql
        run_sql(self._address, statement.encode(), "database.reset_sql")
        return self._address

    def drop_used(self) -> None:
        """Do nothing: there is one database."""

    def address(self) -> Address:
        """Return how the harness reaches the database; the host may change with a start."""
        return self._address

    def terminate_backends(self, application: str, session: int) -> int:
        """Do nothing: the sessions of a service's containers cannot be told apart."""
        return 0

    def stop(self, mode: str) -> None:
        """Stop PostgreSQL and its container; nothing if it is down.

        Raises InfrastructureError if it still runs after 30 seconds.
        """
        if self._process is not None:
            stop_server(self._process, mode)
            self.close()

    def start(self) -> None:
        """Start the container and wait until PostgreSQL accepts connections.

        Raises InfrastructureError if it accepts none within 60 seconds, or ends.
        """
        self.close()
        process = self._start_container()
        deadline = time.monotonic() + _START_TIMEOUT_S
        while problem := self._connection_problem():
            if process.exit_code is not None or time.monotonic() > deadline:
                raise InfrastructureError(
                    cause=(
                        f"{process.name} accepts no connections: {problem}. Its log ends: "
                        f"{process.log_tail()}"
                    ),
                    remedy="correct the service as its log says, or database.dsn of the profile",
                )
            time.sleep(_RETRY_S)

    def close(self) -> None:
        """Close the handle; the project removes the container."""
        if self._process is not None:
            self._process.close()
            self._process = None

    def _start_container(self) -> ContainerProcess:
        """Start the container unless it runs, and look up its address."""
        process = self._process = self._project.start(self._service, 1)
        place = self._project.engine.place(process.identity)
        if place.address is None:
            raise InfrastructureError(
                cause=f"{process.name} has no address on a network of its own",
                remedy="put the database's service on a network in the compose file",
            )
        self._address = replace(self._address, host=str(place.address))
        return process

    def _connection_problem(self) -> str:
        try:
            url = self._address.url("chaosfuzz")
            psycopg.connect(url, connect_timeout=_CONNECT_TIMEOUT_S).close()
        except psycopg.OperationalError as error:
            return " ".join(str(error).split())
        return ""
