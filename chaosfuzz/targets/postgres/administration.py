"""SQL that manages a cluster's databases, over one connection kept as long as it holds."""

import threading
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import sql

from chaosfuzz.domain.errors import InfrastructureError

APPLICATION_NAME = "chaosfuzz-admin"
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
    """Runs statements as the superuser. Safe to use from several threads."""

    def __init__(
        self, dsn: Callable[[str], str], major_version: int, explain: Callable[[], str]
    ) -> None:
        self._dsn = dsn
        self._explain = explain
        self._major_version = major_version
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None

    def create_database(self, name: str, template: str) -> None:
        """Create a database as a copy of another to which nobody is connected.

        Raises:
            InfrastructureError: the server refuses or is gone.

        """
        strategy = " strategy file_copy" if self._major_version >= _FIRST_WITH_STRATEGY else ""
        statement = sql.SQL("create database {} template {}" + strategy)
        self.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))

    def drop_database(self, name: str) -> None:
        """Drop a database if it exists, cutting off who is connected.

        Raises:
            InfrastructureError: the server refuses or is gone.

        """
        statement = sql.SQL("drop database if exists {} with (force)")
        self.execute(statement.format(sql.Identifier(name)))

    def prepare_template(self, name: str, ddl: str) -> None:
        """Create a database, run `ddl` in it, and wait until it can be copied at once.

        Raises:
            InfrastructureError: a statement fails or the server is gone.

        """
        self.create_database(name, "template1")
        self.apply(name, ddl)
        self.await_no_session(name)

    def has_database(self, name: str) -> bool:
        """Say whether there is a database of that name.

        Raises:
            InfrastructureError: the server refuses or is gone.

        """
        statement = sql.SQL("select count(*) from pg_database where datname = {}")
        return bool(self.execute(statement.format(sql.Literal(name)))[0][0])

    def apply(self, name: str, ddl: str) -> None:
        """Run `ddl` in a database that is there.

        Raises:
            InfrastructureError: a statement fails or the server is gone.

        """
        try:
            with psycopg.connect(self._dsn(name), autocommit=True) as connection:
                connection.execute(ddl.encode())
        except psycopg.Error as error:
            cause = error.diag.message_primary or str(error)
            raise InfrastructureError(
                cause=f"cannot prepare the database {name}: {cause}",
                remedy="correct the target's schema, or the PostgreSQL it runs on",
            ) from error

    def await_no_session(self, name: str) -> None:
        """Wait until nobody is connected to a database, so that it can be copied.

        Raises:
            InfrastructureError: somebody stays, or the server is gone.

        """
        # A backend outlives its connection a little; copying would retry every 100 ms.
        self.execute(sql.SQL(_WAIT_FOR_NO_BACKEND).format(name=sql.Literal(name)))

    def terminate_backends(self, application_name: str, session: int = 0) -> int:
        """Cut off a session of an application (1 is the oldest, 0 all); return how many.

        Raises:
            InfrastructureError: the server is gone.

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

        Raises:
            InfrastructureError: the server refuses or is gone.

        """
        with self._lock:
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = psycopg.connect(self._dsn("postgres"), autocommit=True)
                cursor = self._connection.execute(statement)
                return cursor.fetchall() if cursor.description else []
            except psycopg.Error as error:
                said = " ".join(f"{error}{self._explain()}".split())
                raise InfrastructureError(
                    cause=f"PostgreSQL refused `{statement.as_string().strip()[:200]}`: {said}",
                    remedy=(
                        "see the server's log for the cause; if it was killed, free memory or run "
                        "fewer lanes (--lanes)"
                    ),
                ) from error

    def disconnect(self) -> None:
        """Drop the connection; the next statement opens a new one."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
