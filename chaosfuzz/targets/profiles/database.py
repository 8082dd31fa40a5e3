"""The database of a lane: a cluster of its own, or a server that this run may break."""

import hashlib
import itertools
import os
import platform
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.keeper.process_tree import PROC, is_alive
from chaosfuzz.targets.postgres import Cluster
from chaosfuzz.targets.profiles.model import DatabaseProfile

Upstream = str | tuple[str, int]
PREFIX = "chaosfuzz_"
_TEMPLATE = "template"
_CONNECT_TIMEOUT_S = 10


@dataclass(frozen=True, kw_only=True)
class Address:
    """How a component reaches a database."""

    host: str
    port: int
    database: str
    user: str
    password: str

    def url(self, application: str) -> str:
        """Return the connection string as a URL that names the application."""
        password = f":{quote(self.password, safe='')}" if self.password else ""
        query = urlencode({"application_name": application})
        who = f"{quote(self.user, safe='')}{password}"
        return f"postgresql://{who}@{self.host}:{self.port}/{quote(self.database)}?{query}"


class ProfileDatabase(Protocol):
    """What a lane does with its database."""

    @property
    def is_running(self) -> bool:
        """Say whether it is meant to be up."""
        ...

    @property
    def upstream(self) -> Upstream:
        """Where the proxy finds it."""
        ...

    def prepare(self, set_up: Callable[[Address], None]) -> None:
        """Make the template that schedules get copies of; `set_up` fills it."""
        ...

    def fresh(self) -> Address:
        """Return a database as set up, of the schedule's own; the one before goes."""
        ...

    def terminate_backends(self, application: str, session: int) -> int:
        """End sessions of an application (1 is the oldest, 0 all); return how many."""
        ...

    def stop(self, mode: str) -> None:
        """Stop it."""
        ...

    def start(self) -> None:
        """Start it."""
        ...

    def close(self) -> None:
        """Drop what was made."""
        ...


class EmbeddedDatabase:
    """The warm cluster of a lane; each schedule gets a clone of the template."""

    def __init__(self, cluster: Cluster, timeout_s: float) -> None:
        self._cluster = cluster
        self._timeout_s = timeout_s
        self._numbers = itertools.count(1)
        self._used: str | None = None

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
        self._cluster.create_database(_TEMPLATE)
        set_up(self._address(_TEMPLATE))
        self._cluster.await_no_session(_TEMPLATE)

    def fresh(self) -> Address:
        """Clone the template; drop the clone before."""
        name = f"schedule_{next(self._numbers)}"
        self._cluster.create_database(name, _TEMPLATE)
        used, self._used = self._used, name
        if used is not None:
            self._cluster.drop_database(used)
        return self._address(name)

    def terminate_backends(self, application: str, session: int) -> int:
        """End sessions."""
        return self._cluster.terminate_backends(application, session)

    def stop(self, mode: str) -> None:
        """Stop PostgreSQL."""
        self._cluster.stop(mode)  # type: ignore[arg-type]

    def start(self) -> None:
        """Start PostgreSQL."""
        self._cluster.start(self._timeout_s)

    def close(self) -> None:
        """Nothing: the cluster is the lane's."""

    def _address(self, database: str) -> Address:
        return Address(
            host="127.0.0.1",
            port=self._cluster.port,
            database=database,
            user="postgres",
            password="",
        )


class ForeignDatabase:
    """A server named by a DSN. Schedules get databases of their own if any may be created."""

    def __init__(self, profile: DatabaseProfile, mark: str) -> None:
        assert profile.dsn is not None, profile
        self._profile = profile
        self._dsn = profile.dsn
        self._mark = mark
        self._numbers = itertools.count(1)
        self._used: str | None = None
        self._is_running = True
        parts = conninfo_to_dict(self._dsn)
        self._given = Address(
            host=str(parts.get("host") or "127.0.0.1"),
            port=int(str(parts.get("port") or 5432)),
            database=str(parts["dbname"]),
            user=str(parts.get("user") or "postgres"),
            password=str(parts.get("password") or ""),
        )
        self._may_create = self._ask(
            "select rolcreatedb or rolsuper from pg_roles where rolname = current_user"
        )

    @property
    def is_running(self) -> bool:
        """Say whether it has not been stopped."""
        return self._is_running

    @property
    def upstream(self) -> Upstream:
        """Host and port, or the socket in a directory."""
        if self._given.host.startswith("/"):
            return f"{self._given.host}/.s.PGSQL.{self._given.port}"
        return self._given.host, self._given.port

    def prepare(self, set_up: Callable[[Address], None]) -> None:
        """Set up a template, or the given database itself."""
        if not self._may_create:
            if not self._profile.reset_sql:
                raise InfrastructureError(
                    cause=(
                        f"the user {self._given.user} may create no database there, and the "
                        "profile has no database.reset_sql"
                    ),
                    remedy=(
                        "grant CREATEDB, or give database.reset_sql, which empties the database "
                        "it has"
                    ),
                )
            set_up(self._given)
            return
        self._drop_leftovers()
        name = f"{self._mark}_{_TEMPLATE}"
        self._execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        set_up(self._named(name))

    def fresh(self) -> Address:
        """Copy the template, or empty the given database."""
        if not self._may_create:
            self._execute(sql.SQL(self._profile.reset_sql), self._given.database)
            return self._given
        name = f"{self._mark}_{next(self._numbers)}"
        statement = sql.SQL("create database {} template {}")
        template = sql.Identifier(f"{self._mark}_{_TEMPLATE}")
        self._execute(statement.format(sql.Identifier(name), template))
        used, self._used = self._used, name
        if used is not None:
            self._drop(used)
        return self._named(name)

    def terminate_backends(self, application: str, session: int) -> int:
        """End sessions of the schedule's database alone."""
        statement = sql.SQL(
            "select count(pg_terminate_backend(pid)) from (select pid, row_number() over"
            " (order by backend_start, pid) as number from pg_stat_activity where"
            " application_name = {} and datname = {}) sessions where {} in (0, number)"
        )
        name = self._used or self._given.database
        rows = self._execute(
            statement.format(sql.Literal(application), sql.Literal(name), sql.Literal(session))
        )
        return int(str(rows[0][0]))

    def stop(self, mode: str) -> None:
        """Run the command that stops it; how is its own affair."""
        self._is_running = False
        self._run(self._profile.stop)

    def start(self) -> None:
        """Run the command that starts it."""
        self._run(self._profile.start)
        self._is_running = True

    def close(self) -> None:
        """Drop the databases that were made."""
        if self._may_create:
            if self._used is not None:
                self._drop(self._used)
            self._drop(f"{self._mark}_{_TEMPLATE}")

    def _drop_leftovers(self) -> None:
        """Drop what runs of this machine left behind that were killed."""
        machine, _, _ = self._mark.removeprefix(PREFIX).partition("_")
        rows = self._execute(sql.SQL("select datname::text from pg_database"))
        for name in (str(row[0]) for row in rows):
            found = re.fullmatch(rf"{PREFIX}{machine}_(\d+)_\w+", name)
            if found and not is_alive(int(found[1])):
                self._drop(name)

    def _named(self, database: str) -> Address:
        given = self._given
        return Address(
            host=given.host,
            port=given.port,
            database=database,
            user=given.user,
            password=given.password,
        )

    def _drop(self, name: str) -> None:
        statement = sql.SQL("drop database if exists {} with (force)")
        self._execute(statement.format(sql.Identifier(name)))

    def _ask(self, question: str) -> bool:
        rows = self._execute(sql.SQL(question))
        return bool(rows and rows[0][0])

    def _execute(
        self, statement: sql.Composed | sql.SQL, database: str | None = None
    ) -> list[tuple[object, ...]]:
        dsn = make_conninfo(self._dsn, connect_timeout=_CONNECT_TIMEOUT_S)
        if database is not None:
            dsn = make_conninfo(dsn, dbname=database)
        try:
            with psycopg.connect(dsn, autocommit=True) as connection:
                cursor = connection.execute(statement)
                return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            said = " ".join(str(error).split())
            raise InfrastructureError(
                cause=f"the server of database.dsn refused a statement or is gone: {said}",
                remedy="check that the server runs, and see its log for the cause",
            ) from error

    def _run(self, command: tuple[str, ...]) -> None:
        try:
            done = subprocess.run(
                list(command),
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                timeout=self._profile.timeout_s,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InfrastructureError(
                cause=f"cannot run {' '.join(command)}: {error}",
                remedy="correct database.stop and database.start of the profile",
            ) from error
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()[-400:]
            raise InfrastructureError(
                cause=f"{' '.join(command)} gave exit code {done.returncode}: {said}",
                remedy="correct database.stop or database.start of the profile",
            )


def run_mark(index: int) -> str:
    """Return what the databases of a lane on a foreign server are named by."""
    # Another machine, or container, has other processes of the same number.
    here = f"{platform.node()} {(PROC / 'self/ns/pid').readlink()}"
    machine = hashlib.sha256(here.encode()).hexdigest()[:8]
    return f"{PREFIX}{machine}_{os.getpid()}_{index}"


def run_scripts(address: Address, scripts: tuple[Path, ...]) -> None:
    """Run SQL files in a database; raises InfrastructureError naming the file."""
    for path in scripts:
        try:
            with psycopg.connect(address.url("chaosfuzz-setup"), autocommit=True) as connection:
                connection.execute(path.read_bytes())
        except (psycopg.Error, OSError) as error:
            said = " ".join(str(error).split())
            raise InfrastructureError(
                cause=f"{path} failed: {said}", remedy="correct the file"
            ) from error
