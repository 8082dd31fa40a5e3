"""The database of a lane on a PostgreSQL server that a profile names by its DSN."""

import hashlib
import itertools
import os
import platform
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.keeper.process_tree import PROC, is_alive
from chaosfuzz.targets.postgres.database import TEMPLATE, Address, Upstream

PREFIX = "chaosfuzz_"
_CONNECT_TIMEOUT_S = 10


class ForeignDatabase:
    """A server that the profile names, and that the run may stop (implements Database).

    If its user may create databases, each schedule gets a copy of a template, and all names begin
    with `mark`. Otherwise each schedule gets the DSN's own database, emptied by `reset_sql`. `stop`
    and `start` are command lines, and `timeout_s` bounds each of their runs, in seconds. The
    constructor raises InfrastructureError if the server does not answer.
    """

    def __init__(
        self,
        dsn: str,
        mark: str,
        *,
        stop: tuple[str, ...],
        start: tuple[str, ...],
        timeout_s: float,
        reset_sql: str,
    ) -> None:
        self._dsn = dsn
        self._mark = mark
        self._stop = stop
        self._start = start
        self._timeout_s = timeout_s
        self._reset_sql = reset_sql
        self._numbers = itertools.count(1)
        self._used: list[str] = []
        self._is_running = True
        self._given = Address.of_dsn(dsn)
        may_create = "select rolcreatedb or rolsuper from pg_roles where rolname = current_user"
        rows = self._execute(sql.SQL(may_create))
        self._may_create = bool(rows and rows[0][0])

    @property
    def is_running(self) -> bool:
        """Whether `stop` was not called since the last `start`."""
        return self._is_running

    @property
    def upstream(self) -> Upstream:
        """Host and port, or the path of the socket if the host is a directory."""
        if self._given.host.startswith("/"):
            return f"{self._given.host}/.s.PGSQL.{self._given.port}"
        return self._given.host, self._given.port

    def prepare(self, set_up: Callable[[Address], None]) -> None:
        """Set up a template, or the DSN's own database.

        Drops the databases of killed runs first. Raises InfrastructureError if no database may be
        created and there is no reset_sql.
        """
        if not self._may_create:
            if not self._reset_sql:
                raise InfrastructureError(
                    cause=(
                        f"the user {self._given.user} may create no database there, and the "
                        "profile has no database.reset_sql"
                    ),
                    remedy=(
                        "grant CREATEDB to the user, or write database.reset_sql: statements "
                        "that empty the database of database.dsn"
                    ),
                )
            set_up(self._given)
            return
        self._drop_leftovers()
        name = f"{self._mark}_{TEMPLATE}"
        self._execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        set_up(replace(self._given, database=name))

    def fresh(self) -> Address:
        """Copy the template, or empty the DSN's own database."""
        if not self._may_create:
            self._execute(sql.SQL(self._reset_sql), self._given.database)
            return self._given
        name = f"{self._mark}_{next(self._numbers)}"
        statement = sql.SQL("create database {} template {}")
        template = sql.Identifier(f"{self._mark}_{TEMPLATE}")
        self._execute(statement.format(sql.Identifier(name), template))
        self._used.append(name)
        return replace(self._given, database=name)

    def drop_used(self) -> None:
        """Drop every copy but the last."""
        while len(self._used) > 1:
            self._drop(self._used.pop(0))

    def terminate_backends(self, application: str, session: int) -> int:
        """End the nth oldest session of an application, or all with 0; return how many ended.

        Only sessions of the schedule's own database count.
        """
        statement = sql.SQL(
            "select count(pg_terminate_backend(pid)) from (select pid, row_number() over"
            " (order by backend_start, pid) as number from pg_stat_activity where"
            " application_name = {} and datname = {}) sessions where {} in (0, number)"
        )
        name = self._used[-1] if self._used else self._given.database
        rows = self._execute(
            statement.format(sql.Literal(application), sql.Literal(name), sql.Literal(session))
        )
        return int(str(rows[0][0]))

    def stop(self, mode: str) -> None:
        """Run the profile's stop command; `mode` has no effect."""
        self._is_running = False
        self._run(self._stop)

    def start(self) -> None:
        """Run the profile's start command."""
        self._run(self._start)
        self._is_running = True

    def close(self) -> None:
        """Drop all databases that were created."""
        if self._may_create:
            for name in (*self._used, f"{self._mark}_{TEMPLATE}"):
                self._drop(name)

    def _drop_leftovers(self) -> None:
        """Drop the databases that killed runs on this machine have left."""
        machine, _, _ = self._mark.removeprefix(PREFIX).partition("_")
        rows = self._execute(sql.SQL("select datname::text from pg_database"))
        for name in (str(row[0]) for row in rows):
            found = re.fullmatch(rf"{PREFIX}{machine}_(\d+)_\w+", name)
            if found and not is_alive(int(found[1])):
                self._drop(name)

    def _drop(self, name: str) -> None:
        statement = sql.SQL("drop database if exists {} with (force)")
        self._execute(statement.format(sql.Identifier(name)))

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
            reason = " ".join(str(error).split())
            raise InfrastructureError(
                cause=f"the server of database.dsn refused a statement or is gone: {reason}",
                remedy="check that the server runs, and see its log for the cause",
            ) from error

    def _run(self, command: tuple[str, ...]) -> None:
        try:
            done = subprocess.run(
                list(command),
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                timeout=self._timeout_s,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InfrastructureError(
                cause=f"cannot run {' '.join(command)}: {error}",
                remedy="correct database.stop and database.start of the profile",
            ) from error
        if done.returncode != 0:
            output = (done.stderr or done.stdout).strip()[-400:]
            raise InfrastructureError(
                cause=f"{' '.join(command)} gave exit code {done.returncode}: {output}",
                remedy="correct database.stop or database.start of the profile",
            )


def run_mark(index: int) -> str:
    """Return how the names of a lane's databases on a foreign server begin.

    The mark names this machine (with its pid namespace), this process and the lane.
    """
    # A process of another machine or container may have the same pid.
    here = f"{platform.node()} {(PROC / 'self/ns/pid').readlink()}"
    machine = hashlib.sha256(here.encode()).hexdigest()[:8]
    return f"{PREFIX}{machine}_{os.getpid()}_{index}"
