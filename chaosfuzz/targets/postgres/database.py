"""The database of a lane: its address, its protocol, and one on a server of the lane's own."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.postgres.administration import Administrator
from chaosfuzz.targets.postgres.cluster import StopMode

Upstream = str | tuple[str, int]
"""How the proxy reaches a server: the path of a unix socket, or host and port."""
TEMPLATE = "template"
# Chosen by hand: a cluster starts in less than a second on a quiet machine.
READY_TIMEOUT_S = 15.0
# Chosen by hand, in seconds.
_CONNECT_TIMEOUT_S = 10
_MODES: Mapping[str, StopMode] = {"fast": "fast", "immediate": "immediate", "kill": "kill"}


@dataclass(frozen=True, kw_only=True)
class Address:
    """How a database is reached: by TCP, or by the unix socket in `socket_directory` if set."""

    host: str
    port: int
    database: str
    user: str = "postgres"
    password: str = ""
    socket_directory: Path | None = None

    @staticmethod
    def of_dsn(dsn: str) -> "Address":
        """Return the address in a connection string, with libpq's usual port and user postgres."""
        parts = {key: str(value) for key, value in conninfo_to_dict(dsn).items() if value}
        return Address(
            host=parts.get("host", "127.0.0.1"),
            port=int(parts.get("port", 5432)),
            database=parts["dbname"],
            user=parts.get("user", "postgres"),
            password=parts.get("password", ""),
        )

    def url(self, application: str) -> str:
        """Return the connection URL of a component (by TCP) with this application name."""
        password = f":{quote(self.password, safe='')}" if self.password else ""
        query = urlencode({"application_name": application})
        login = f"{quote(self.user, safe='')}{password}"
        return f"postgresql://{login}@{self.host}:{self.port}/{quote(self.database)}?{query}"

    @property
    def harness_dsn(self) -> str:
        """The connection string of the harness's own sessions, by the unix socket if there is one.

        While the server is down, a unix socket refuses at once; an unused address takes seconds.
        """
        return make_conninfo(
            host=str(self.socket_directory or self.host),
            port=self.port,
            user=self.user,
            password=self.password or None,
            dbname=self.database,
        )


class Database(Protocol):
    """The PostgreSQL database of a lane and its systems.

    Methods raise InfrastructureError if the server fails.
    """

    @property
    def is_running(self) -> bool:
        """Whether the server runs, as far as the harness knows."""
        ...

    @property
    def upstream(self) -> Upstream:
        """How the proxy reaches the server."""
        ...

    def prepare(self, set_up: Callable[[Address], None]) -> None:
        """Call `set_up` once on a database; every `fresh` then has the contents it made."""
        ...

    def fresh(self) -> Address:
        """Return the address of a database as it was set up, for one schedule."""
        ...

    def drop_used(self) -> None:
        """Drop the databases of all schedules before the last `fresh`, if they were copies."""
        ...

    def terminate_backends(self, application: str, session: int) -> int:
        """End the nth oldest session of an application, or all with 0; return how many ended."""
        ...

    def stop(self, mode: str) -> None:
        """Stop the server (fast, immediate or kill) and wait until it is down."""
        ...

    def start(self) -> None:
        """Start the server and wait until it accepts connections."""
        ...

    def close(self) -> None:
        """Drop the databases that were made, and free what is held."""
        ...


class ClusterServer(Protocol):
    """A PostgreSQL server of one lane's own, as processes or in a container."""

    host: str
    administrator: Administrator

    @property
    def port(self) -> int:
        """The TCP port at `host`."""
        ...

    @property
    def is_running(self) -> bool:
        """Whether the server lives."""
        ...

    @property
    def socket_path(self) -> Path:
        """The path of the unix socket at which the server listens while it runs."""
        ...

    def start(self, timeout_s: float) -> None:
        """Start the server and wait until it accepts connections."""
        ...

    def stop(self, mode: StopMode) -> None:
        """Stop the server and wait until all its processes have ended."""
        ...


class EmbeddedDatabase:
    """A server of the lane's own; each schedule gets a copy of the template (implements Database).

    `timeout_s` is how long the server may take to start, in seconds.
    """

    def __init__(self, cluster: ClusterServer, timeout_s: float) -> None:
        self._cluster = cluster
        self._timeout_s = timeout_s
        self._numbers = itertools.count(1)
        self._used: list[str] = []

    @property
    def is_running(self) -> bool:
        """Whether the postmaster lives."""
        return self._cluster.is_running

    @property
    def upstream(self) -> Upstream:
        """The path of the unix socket."""
        return str(self._cluster.socket_path)

    def prepare(self, set_up: Callable[[Address], None]) -> None:
        """Create the template, set it up, and wait until no session is connected to it."""
        self._cluster.administrator.create_database(TEMPLATE)
        set_up(self._address(TEMPLATE))
        self._cluster.administrator.await_no_session(TEMPLATE)

    def fresh(self) -> Address:
        """Copy the template."""
        name = f"schedule_{next(self._numbers)}"
        self._cluster.administrator.create_database(name, TEMPLATE)
        self._used.append(name)
        return self._address(name)

    def drop_used(self) -> None:
        """Drop every copy but the last."""
        while len(self._used) > 1:
            self._cluster.administrator.drop_database(self._used.pop(0))

    def terminate_backends(self, application: str, session: int) -> int:
        """End the nth oldest session of an application, or all with 0; return how many ended."""
        return self._cluster.administrator.terminate_backends(application, session)

    def stop(self, mode: str) -> None:
        """Stop PostgreSQL and wait until all its processes have ended."""
        self._cluster.stop(_MODES[mode])

    def start(self) -> None:
        """Start PostgreSQL and wait until it accepts connections."""
        self._cluster.start(self._timeout_s)

    def close(self) -> None:
        """Do nothing: the lane removes the server with all its databases."""

    def _address(self, database: str) -> Address:
        cluster = self._cluster
        return Address(
            host=cluster.host,
            port=cluster.port,
            database=database,
            socket_directory=cluster.socket_path.parent,
        )


class SingleUseDatabase(EmbeddedDatabase):
    """A server for one schedule, which gets the database that was set up and no copy of it."""

    def fresh(self) -> Address:
        """Return the address of the database that was set up."""
        return self._address(TEMPLATE)


def run_sql(address: Address, script: bytes, origin: str, remedy: str = "") -> None:
    """Run a script in a database; raise InfrastructureError with `origin` and `remedy` if it fails.

    `origin` says where the script comes from. Without a remedy, the error names one by its kind.
    """
    try:
        with psycopg.connect(
            address.harness_dsn, autocommit=True, connect_timeout=_CONNECT_TIMEOUT_S
        ) as connection:
            connection.execute(script)
    except psycopg.Error as error:
        reason = " ".join(str(error).split())
        by_kind = "correct the statement"
        if isinstance(error, psycopg.OperationalError):
            by_kind = "see that the database of the profile answers"
        raise InfrastructureError(
            cause=f"{origin} failed: {reason}", remedy=remedy or by_kind
        ) from error
