"""SQL that manages a cluster's databases, over one connection that is opened when needed."""

import threading
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import sql

from chaosfuzz.domain.errors import InfrastructureError

APPLICATION_NAME = "chaosfuzz-admin"
# The first major version of PostgreSQL with `strategy`.
_FIRST_WITH_STRATEGY = 15
_WAIT_FOR_NO_BACKEND = """
do $$ declare give_up timestamptz := clock_timestamp() + interval '10 s'; begin
  loop
    perform pg_stat_clear_snapshot();
    exit when not exists (select from pg_stat_activity where datname = {name});
    if clock_timestamp() > give_up then raise 'connections to the template remain'; end if;
    perform pg_sleep(0.001);
  end loop;
end $$
"""


class Administrator:
    """Runs statements as the superuser; safe for several threads.

    `dsn` gives the connection string of a database. `explain` returns what may be wrong with the
    server, for the text of an error; it may be empty.
    """

    def __init__(
        self, dsn: Callable[[str], str], major_version: int, explain: Callable[[], str]
    ) -> None:
        self._dsn = dsn
        self._explain = explain
        self._major_version = major_version
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None

    def create_database(self, name: str, template: str = "template1") -> None:
        """Create a database as a copy of `template`, to which no session may be connected.

        Raises InfrastructureError if the server refuses or is gone.
        """
        strategy = " strategy file_copy" if self._major_version >= _FIRST_WITH_STRATEGY else ""
        statement = sql.SQL("create database {} template {}" + strategy)
        self.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))

    def drop_database(self, name: str) -> None:
        """Drop a database if it exists, and end the sessions connected to it.

        Raises InfrastructureError if the server refuses or is gone.
        """
        statement = sql.SQL("drop database if exists {} with (force)")
        self.execute(statement.format(sql.Identifier(name)))

    def has_database(self, name: str) -> bool:
        """Say whether a database of this name exists.

        Raises InfrastructureError if the server refuses or is gone.
        """
        statement = sql.SQL("select count(*) from pg_database where datname = {}")
        return bool(self.execute(statement.format(sql.Literal(name)))[0][0])

    def apply(self, name: str, ddl: str) -> None:
        """Run `ddl` in an existing database, each statement in a transaction of its own.

        Raises InfrastructureError if a statement fails or the server is gone.
        """
        try:
            with psycopg.connect(self._dsn(name), autocommit=True) as connection:
                connection.execute(ddl.encode())
        except psycopg.Error as error:
            cause = error.diag.message_primary or str(error)
            raise InfrastructureError(
                cause=f"cannot prepare the database {name}: {cause}",
                remedy="correct the schema; if PostgreSQL itself failed, its log says why",
            ) from error

    def await_no_session(self, name: str) -> None:
        """Wait until no session is connected to a database, so that it can be copied.

        Raises InfrastructureError if one is there after 10 s, or if the server is gone.
        """
        # A backend ends a little after its connection; PostgreSQL would retry every 100 ms.
        self.execute(sql.SQL(_WAIT_FOR_NO_BACKEND).format(name=sql.Literal(name)))

    def terminate_backends(self, application_name: str, session: int = 0) -> int:
        """End the nth oldest session of an application, or all with 0; return how many ended.

        Raises InfrastructureError if the server is gone.
        """
        statement = sql.SQL(
            "select count(pg_terminate_backend(pid)) from ("
            " select pid, row_number() over (order by backend_start, pid) as number"
            " from pg_stat_activity"
            " where application_name = {} and pid <> pg_backend_pid()) sessions"
            " where {} in (0, number)"
        )
        chosen = statement.format(sql.Literal(application_name), sql.Literal(session))
        rows = self.execute(chosen)
        return int(rows[0][0])

    def execute(self, statement: sql.Composed) -> list[tuple[Any, ...]]:
        """Run one statement outside a transaction; return its rows.

        Raises InfrastructureError if the server refuses or is gone.
        """
        with self._lock:
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = psycopg.connect(self._dsn("postgres"), autocommit=True)
                cursor = self._connection.execute(statement)
                return cursor.fetchall() if cursor.description else []
            except psycopg.Error as error:
                reason = " ".join(f"{error}{self._explain()}".split())
                raise InfrastructureError(
                    cause=f"PostgreSQL refused `{statement.as_string().strip()[:200]}`: {reason}",
                    remedy=(
                        "see the server's log for the cause; if it was killed, free memory or run "
                        "fewer lanes (--lanes)"
                    ),
                ) from error

    def disconnect(self) -> None:
        """Close the connection; the next statement opens a new one."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
