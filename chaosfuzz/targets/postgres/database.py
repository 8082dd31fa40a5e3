"""The database of a lane: how components and the harness reach it, and a cluster of its own."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlencode

import psycopg
from psycopg.conninfo import make_conninfo

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.postgres.cluster import StopMode

Upstream = str | tuple[str, int]
"""Where the proxy finds a server: the path of a unix socket, or host and port."""
TEMPLATE = "template"
# Chosen by hand: a cluster starts in less than a second on a quiet machine.
READY_TIMEOUT_S = 15.0
_CONNECT_TIMEOUT_S = 10
_MODES: Mapping[str, StopMode] = {"fast": "fast", "immediate": "immediate", "kill": "kill"}


@dataclass(frozen=True, kw_only=True)
class Address:
    """How a database is reached: by TCP, and by the unix socket in a directory if one is named."""

    host: str
    port: int
    database: str
    user: str = "postgres"
    password: str = ""
    socket_directory: Path | None = None

    def url(self, application: str) -> str:
        """Return the connection string of a component as a URL that names the application."""
        password = f":{quote(self.password, safe='')}" if self.password else ""
        query = urlencode({"application_name": application})
        who = f"{quote(self.user, safe='')}{password}"
        return f"postgresql://{who}@{self.host}:{self.port}/{quote(self.database)}?{query}"

    @property
    def harness_dsn(self) -> str:
        """The connection string of the harness's own sessions.

        A unix socket refuses at once while the server is down; an address that nobody has takes
        seconds to.
        """
        return make_conninfo(
            host=str(self.socket_directory or self.host),
            port=self.port,
            user=self.user,
            password=self.password or None,
            dbname=self.database,
        )


class Database(Protocol):
    """What a lane and its systems do with PostgreSQL."""

    @property
    def is_running(self) -> bool:
        """Say whether it is meant to be up."""
        ...

    @property
    def upstream(self) -> Upstream:
        """Where the proxy finds it."""
        ...

    def prepare(self, set_up: Callable[[Address], None]) -> None:
        """Have `set_up` fill a database, which every schedule then gets as it is."""
        ...

    def fresh(self) -> Address:
        """Return a database as it was set up, for one schedule."""
        ...

    def drop_used(self) -> None:
        """Drop what the schedule before the one of the last `fresh` has used, if it can be."""
        ...

    def terminate_backends(self, application: str, session: int) -> int:
        """End sessions of an application (1 is the oldest, 0 all); return how many."""
        ...

    def stop(self, mode: str) -> None:
        """Stop it (fast, immediate or kill) and wait until it is down."""
        ...

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        ...

    def close(self) -> None:
        """Drop what was made."""
        ...


class ClusterServer(Protocol):
    """A server that belongs to one lane, as processes or in a container."""

    host: str

    @property
    def port(self) -> int:
        """The TCP port at `host`."""
        ...

    @property
    def is_running(self) -> bool:
        """Whether the server is alive."""
        ...

    @property
    def socket_path(self) -> Path:
        """The unix socket that the server listens on while it runs."""
        ...

    def start(self, timeout_s: float) -> None:
        """Start and wait until connections are accepted."""
        ...

    def stop(self, mode: StopMode) -> None:
        """Stop and wait until every process is gone."""
        ...

    def create_database(self, name: str, template: str) -> None:
        """Create a database as a copy of a template to which nobody is connected."""
        ...

    def drop_database(self, name: str) -> None:
        """Drop a database if it exists."""
        ...

    def await_no_session(self, name: str) -> None:
        """Wait until nobody is connected to a database."""
        ...

    def terminate_backends(self, application_name: str, session: int = 0) -> int:
        """End a session of an application (1 is the oldest, 0 all); return how many."""
        ...


class EmbeddedDatabase:
    """A server of the lane's own; each schedule gets a clone of the template."""

    def __init__(self, cluster: ClusterServer, timeout_s: float) -> None:
        self._cluster = cluster
        self._timeout_s = timeout_s
        self._numbers = itertools.count(1)
        self._used: list[str] = []

    @property
    def is_running(self) -> bool:
        """Say whether the postmaster is alive."""
        return self._cluster.is_running

    @property
    def upstream(self) -> Upstream:
        """The unix socket."""
        return str(self._cluster.socket_path)

    def prepare(self, set_up: Callable[[Address], None]) -> None:
        """Make the template and set it up."""
        self._cluster.create_database(TEMPLATE, "template1")
        set_up(self._address(TEMPLATE))
        self._cluster.await_no_session(TEMPLATE)

    def fresh(self) -> Address:
        """Clone the template."""
        name = f"schedule_{next(self._numbers)}"
        self._cluster.create_database(name, TEMPLATE)
        self._used.append(name)
        return self._address(name)

    def drop_used(self) -> None:
        """Drop every clone but the last."""
        while len(self._used) > 1:
            self._cluster.drop_database(self._used.pop(0))

    def terminate_backends(self, application: str, session: int) -> int:
        """End sessions."""
        return self._cluster.terminate_backends(application, session)

    def stop(self, mode: str) -> None:
        """Stop PostgreSQL."""
        self._cluster.stop(_MODES[mode])

    def start(self) -> None:
        """Start PostgreSQL."""
        self._cluster.start(self._timeout_s)

    def close(self) -> None:
        """Nothing: the server goes with the lane, and all that is in it."""

    def _address(self, database: str) -> Address:
        cluster = self._cluster
        return Address(
            host=cluster.host,
            port=cluster.port,
            database=database,
            socket_directory=cluster.socket_path.parent,
        )


class SingleUseDatabase(EmbeddedDatabase):
    """A server for one schedule alone, which gets the very database that was set up."""

    def fresh(self) -> Address:
        """Return the database that was set up."""
        return self._address(TEMPLATE)


def run_sql(
    address: Address, script: bytes, origin: str, remedy: str = "correct the statement"
) -> None:
    """Run a script in a database; raises InfrastructureError that names origin and remedy."""
    try:
        with psycopg.connect(
            address.harness_dsn, autocommit=True, connect_timeout=_CONNECT_TIMEOUT_S
        ) as connection:
            connection.execute(script)
    except psycopg.Error as error:
        said = " ".join(str(error).split())
        raise InfrastructureError(cause=f"{origin} failed: {said}", remedy=remedy) from error
