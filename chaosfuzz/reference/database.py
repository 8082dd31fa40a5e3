"""Connections to PostgreSQL, and a pool that recovers after an outage."""

import asyncio
import select
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

import psycopg
from psycopg.rows import DictRow, dict_row

from chaosfuzz.reference.api_error import ApiError
from chaosfuzz.reference.process import Notices

Connection = psycopg.AsyncConnection[DictRow]
Parameters = Mapping[str, Any] | Sequence[Any] | None
P = ParamSpec("P")
Result = TypeVar("Result")
Operation = Callable[Concatenate[Connection, P], Awaitable[Result]]
# All four chosen by hand; the last two are for closing.
CONNECT_TIMEOUT_S = 2
SECOND_CANCEL_S = 1.0
CLOSING_CANCEL_S = 0.05
CLOSING_S = 0.3


class DatabaseTimeoutError(psycopg.OperationalError):
    """The database did not answer in time."""


async def connect(dsn: str) -> Connection:
    """Open one connection in which every statement commits by itself; rows are dicts.

    Raise psycopg.OperationalError if that fails or takes longer than CONNECT_TIMEOUT_S.
    """
    return await psycopg.AsyncConnection.connect(
        dsn, autocommit=True, row_factory=dict_row, connect_timeout=CONNECT_TIMEOUT_S
    )


async def fetch_one(
    connection: Connection, statement: str, parameters: Parameters = None
) -> DictRow | None:
    """Execute the statement and return its first row, or None if it returned none."""
    return await (await connection.execute(statement, parameters)).fetchone()


async def fetch_all(
    connection: Connection, statement: str, parameters: Parameters = None
) -> list[DictRow]:
    """Execute the statement and return all its rows."""
    return await (await connection.execute(statement, parameters)).fetchall()


async def changes_one(connection: Connection, statement: str, parameters: Parameters) -> bool:
    """Execute the statement and return whether it changed exactly one row."""
    return (await connection.execute(statement, parameters)).rowcount == 1


class Database:
    """A pool of at most `max_connections`. It never hands out a connection that may be broken.

    `timeout_ms` limits each call, waiting for a connection included. The pool does not wait
    between attempts to connect, so the first call after an outage succeeds. It reports outages
    to `notices`. The two flags are the defects pool-never-recovers and connection-leak-on-error.
    """

    def __init__(
        self,
        dsn: str,
        *,
        timeout_ms: int,
        max_connections: int,
        notices: Notices,
        never_recovers: bool = False,
        leaks_on_error: bool = False,
    ) -> None:
        self._dsn = dsn
        self._timeout_s = timeout_ms / 1000
        self._slots = asyncio.Semaphore(max_connections)
        self._idle: list[Connection] = []
        self._calls: set[asyncio.Task[Any]] = set()
        self._notices = notices
        self._never_recovers = never_recovers
        self._leaks_on_error = leaks_on_error
        self._leaked: list[Connection] = []
        self._failure: psycopg.OperationalError | None = None
        self.closed = False

    async def run(
        self, operation: Operation[P, Result], *arguments: P.args, **named: P.kwargs
    ) -> Result:
        """Return what the operation returns for a connection and these arguments.

        Raise psycopg.OperationalError if the database is not available or does not answer in
        time; a statement that was under way may still have its effect. Other errors of the
        operation are raised as they are.
        """
        return await self.run_within(self._timeout_s, operation, *arguments, **named)

    async def run_within(
        self,
        timeout_s: float,
        operation: Operation[P, Result],
        *arguments: P.args,
        **named: P.kwargs,
    ) -> Result:
        """Do the same as `run` with another timeout, if it is shorter than the pool's."""
        call = asyncio.create_task(self._perform(lambda c: operation(c, *arguments, **named)))
        self._calls.add(call)
        call.add_done_callback(self._forget)
        try:
            # A cancelled query in a frozen database may take seconds to end. This call does not
            # wait for that: it abandons the query, which ends by itself.
            await asyncio.wait({call}, timeout=min(timeout_s, self._timeout_s))
        finally:
            if not call.done():
                self._abandon(call)
        if not call.done():
            error = DatabaseTimeoutError("the database did not answer in time")
            self._notices.unavailable(error)
            raise error
        return call.result()

    async def close(self) -> None:
        """Cancel all calls, wait up to CLOSING_S for their ends and close idle connections."""
        self.closed = True
        for call in tuple(self._calls):
            self._abandon(call, second_cancel_s=CLOSING_CANCEL_S)
        if self._calls:
            await asyncio.wait(tuple(self._calls), timeout=CLOSING_S)
        await self._drop_idle()

    async def _perform(self, operation: Callable[[Connection], Awaitable[Result]]) -> Result:
        await self._slots.acquire()
        connection: Connection | None = None
        healthy = leaks = False
        try:
            connection = self._take_idle() or await connect(self._dsn)
            result = await operation(connection)
            healthy = True
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            await self._drop_idle()
            # Psycopg raises an InterfaceError for a connection that was closed before.
            failure = psycopg.OperationalError(str(error))
            self._notices.unavailable(failure)
            if connection is not None:
                self._failure = failure
            raise failure from error
        except (psycopg.Error, ApiError):
            healthy = True
            # DEFECT connection-leak-on-error: the pool gets neither connection nor slot back.
            leaks = self._leaks_on_error
            raise
        else:
            self._notices.available()
            return result
        finally:
            if leaks and connection is not None:
                self._leaked.append(connection)
            else:
                try:
                    if connection is not None:
                        await self._give_back(connection, healthy=healthy)
                finally:
                    self._slots.release()

    def _take_idle(self) -> Connection | None:
        # DEFECT pool-never-recovers: connections are not checked, and a failure is permanent.
        if self._never_recovers:
            if self._failure is not None:
                raise self._failure
            return self._idle.pop() if self._idle else None
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed and not _has_input(connection):
                return connection
            connection.pgconn.finish()
        return None

    async def _give_back(self, connection: Connection, *, healthy: bool) -> None:
        if healthy and not connection.closed and not self.closed:
            self._idle.append(connection)
        else:
            await connection.close()

    async def _drop_idle(self) -> None:
        while self._idle:
            await self._idle.pop().close()

    def _abandon(
        self, call: asyncio.Task[Any], *, second_cancel_s: float = SECOND_CANCEL_S
    ) -> None:
        # The first cancellation makes psycopg ask the database to stop the query. The second
        # one ends the waiting for the database's reply to that.
        call.cancel()
        asyncio.get_running_loop().call_later(second_cancel_s, call.cancel)

    def _forget(self, call: asyncio.Task[Any]) -> None:
        self._calls.discard(call)
        if not call.cancelled():
            call.exception()


def _has_input(connection: Connection) -> bool:
    """Return whether an idle connection is readable: the other end has closed it."""
    poller = select.poll()
    poller.register(connection.fileno(), select.POLLIN)
    return bool(poller.poll(0))
