"""A PostgreSQL server that the user named, and that this run may break."""

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
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.keeper.process_tree import PROC, is_alive
from chaosfuzz.targets.postgres.database import TEMPLATE, Address, Upstream

PREFIX = "chaosfuzz_"
_CONNECT_TIMEOUT_S = 10


class ForeignDatabase:
    """A server named by a DSN. Schedules get databases of their own if any may be created."""

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
            if not self._reset_sql:
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
        name = f"{self._mark}_{TEMPLATE}"
        self._execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        set_up(self._named(name))

    def fresh(self) -> Address:
        """Copy the template, or empty the given database."""
        if not self._may_create:
            self._execute(sql.SQL(self._reset_sql), self._given.database)
            return self._given
        name = f"{self._mark}_{next(self._numbers)}"
        statement = sql.SQL("create database {} template {}")
        template = sql.Identifier(f"{self._mark}_{TEMPLATE}")
        self._execute(statement.format(sql.Identifier(name), template))
        self._used.append(name)
        return self._named(name)

    def drop_used(self) -> None:
        """Drop every copy but the last."""
        while len(self._used) > 1:
            self._drop(self._used.pop(0))

    def terminate_backends(self, application: str, session: int) -> int:
        """End sessions of the schedule's database alone."""
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
        """Run the command that stops it; how is its own affair."""
        self._is_running = False
        self._run(self._stop)

    def start(self) -> None:
        """Run the command that starts it."""
        self._run(self._start)
        self._is_running = True

    def close(self) -> None:
        """Drop the databases that were made."""
        if self._may_create:
            for name in (*self._used, f"{self._mark}_{TEMPLATE}"):
                self._drop(name)

    def _drop_leftovers(self) -> None:
        """Drop what runs of this machine left behind that were killed."""
        machine, _, _ = self._mark.removeprefix(PREFIX).partition("_")
        rows = self._execute(sql.SQL("select datname::text from pg_database"))
        for name in (str(row[0]) for row in rows):
            found = re.fullmatch(rf"{PREFIX}{machine}_(\d+)_\w+", name)
            if found and not is_alive(int(found[1])):
                self._drop(name)

    def _named(self, database: str) -> Address:
        return replace(self._given, database=database)

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
                timeout=self._timeout_s,
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
