"""The PostgreSQL service of a compose project (implements Database)."""

import threading
from collections.abc import Callable

import psycopg
from psycopg.conninfo import conninfo_to_dict

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.compose.containers import ComposeContainers, ComposeProcess
from chaosfuzz.targets.postgres.cluster import STOP_SIGNALS
from chaosfuzz.targets.postgres.database import Address, run_sql
from chaosfuzz.targets.profiles.model import Profile

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 30.0
_CONNECT_TIMEOUT_S = 5
_RETRY_S = 0.02


class ComposeDatabase:
    """Its one database is emptied for each schedule: the services know it by name."""

    def __init__(self, profile: Profile, containers: ComposeContainers) -> None:
        assert profile.compose is not None
        assert profile.database.dsn is not None
        self._profile = profile
        self._service = profile.compose.database
        self._port = profile.compose.database_port
        self._containers = containers
        self._parts = conninfo_to_dict(profile.database.dsn)
        self._process: ComposeProcess | None = containers.start(self._service, 1)
        self._host = self._find()

    @property
    def is_running(self) -> bool:
        """Say whether the container lives."""
        return self._process is not None and self._process.exit_code is None

    @property
    def upstream(self) -> tuple[str, int]:
        """The container's address, which may be another after a start."""
        return self._host, self._port

    def prepare(self, set_up: Callable[[Address], None]) -> None:
        """Set up the database."""
        set_up(self.address())

    def fresh(self) -> Address:
        """Empty the database."""
        address = self.address()
        statement = self._profile.database.reset_sql
        run_sql(address, statement.encode(), "database.reset_sql")
        return address

    def drop_used(self) -> None:
        """Nothing: there is one database."""

    def address(self) -> Address:
        """Return how the harness reaches it."""
        return Address(
            host=self._host,
            port=self._port,
            database=str(self._parts["dbname"]),
            user=str(self._parts.get("user") or "postgres"),
            password=str(self._parts.get("password") or ""),
        )

    def terminate_backends(self, application: str, session: int) -> int:
        """Nothing: the sessions of a service's containers cannot be told apart."""
        return 0

    def stop(self, mode: str) -> None:
        """Send the signal that PostgreSQL takes for it to the container's first process."""
        process = self._process
        if process is None:
            return
        process.signal(STOP_SIGNALS[mode])
        if process.wait(_STOP_TIMEOUT_S) is None:
            raise InfrastructureError(
                cause=f"{process.name} did not stop ({mode}) within {_STOP_TIMEOUT_S:g} s",
                remedy=f"look at its log (docker logs {process.name}) for what it waits for",
            )
        process.close()
        self._process = None

    def start(self) -> None:
        """Start the container and wait until it takes connections."""
        if self._process is not None:
            self._process.close()
        process = self._process = self._containers.start(self._service, 1)
        self._host = self._find()
        waited = threading.Event()
        for _ in range(int(_START_TIMEOUT_S / _RETRY_S)):
            with_problem = self._cannot_connect()
            if not with_problem:
                return
            if process.exit_code is not None:
                break
            waited.wait(_RETRY_S)
        raise InfrastructureError(
            cause=(
                f"{process.name} takes no connections: {with_problem}. Its log ends: "
                f"{process.log_tail()}"
            ),
            remedy="correct the service, or database.dsn of the profile",
        )

    def close(self) -> None:
        """Give up the handle; the container is the project's."""
        if self._process is not None:
            self._process.close()
            self._process = None

    def _find(self) -> str:
        assert self._process is not None
        place = self._containers.engine.place(self._process.identity)
        if place.address is None:
            raise InfrastructureError(
                cause=f"{self._process.name} has no address on a network of its own",
                remedy="put the database's service on a network in the compose file",
            )
        return str(place.address)

    def _url(self) -> str:
        return self.address().url("chaosfuzz")

    def _cannot_connect(self) -> str:
        try:
            psycopg.connect(self._url(), connect_timeout=_CONNECT_TIMEOUT_S).close()
        except psycopg.OperationalError as error:
            return " ".join(str(error).split())
        return ""
