"""Connections to PostgreSQL that come back with the database."""

import asyncio
import select
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import psycopg
from psycopg.rows import DictRow, dict_row

from chaosfuzz.reference.api_error import ApiError
from chaosfuzz.reference.process import Notices

Connection = psycopg.AsyncConnection[DictRow]
Result = TypeVar("Result")
CONNECT_TIMEOUT_S = 2
SECOND_CANCEL_S = 1.0


class DatabaseTimeoutError(psycopg.OperationalError):
    """The database did not answer in time."""


async def connect(dsn: str) -> Connection:
    """Open one connection in which every statement commits by itself."""
    return await psycopg.AsyncConnection.connect(
        dsn, autocommit=True, row_factory=dict_row, connect_timeout=CONNECT_TIMEOUT_S
    )


class Database:
    """A stack of idle connections; one that may be broken is never handed out.

    There is no waiting between attempts to connect, so the first call after the database is
    back succeeds.
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
        self,
        operation: Callable[[Connection], Awaitable[Result]],
        *,
        timeout_s: float | None = None,
    ) -> Result:
        """Run the operation on a connection; raise OperationalError if there is none in time."""
        call = asyncio.create_task(self._perform(operation))
        self._calls.add(call)
        call.add_done_callback(self._forget)
        limit_s = self._timeout_s if timeout_s is None else min(timeout_s, self._timeout_s)
        try:
            # A frozen database does not let a cancelled query go, so waiting for the call
            # itself to give up could take seconds; it is left to end by itself instead.
            await asyncio.wait({call}, timeout=limit_s)
        finally:
            if not call.done():
                self._abandon(call)
        if not call.done():
            error = DatabaseTimeoutError("the database did not answer in time")
            self._notices.unavailable(error)
            raise error
        return call.result()

    async def close(self) -> None:
        """Give up what is under way and close every idle connection."""
        self.closed = True
        for call in tuple(self._calls):
            self._abandon(call, second_cancel_s=0.05)
        if self._calls:
            await asyncio.wait(tuple(self._calls), timeout=0.3)
        await self._drop_idle()

    async def _perform(self, operation: Callable[[Connection], Awaitable[Result]]) -> Result:
        await self._slots.acquire()
        connection: Connection | None = None
        healthy = kept = False
        try:
            connection = self._take_idle() or await connect(self._dsn)
            result = await operation(connection)
            healthy = True
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            await self._drop_idle()
            # An interface error is how a connection found closed shows itself.
            failure = psycopg.OperationalError(str(error))
            self._notices.unavailable(failure)
            if connection is not None:
                self._failure = failure
            raise failure from error
        except (psycopg.Error, ApiError):
            healthy = True
            # DEFECT connection-leak-on-error: neither connection nor slot is given back.
            kept = self._leaks_on_error
            raise
        else:
            self._notices.available()
            return result
        finally:
            if kept and connection is not None:
                self._leaked.append(connection)
            else:
                try:
                    if connection is not None:
                        await self._give_back(connection, healthy=healthy)
                finally:
                    self._slots.release()

    def _take_idle(self) -> Connection | None:
        # DEFECT pool-never-recovers: no look at the connection, and one failure stays for ever.
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
        # The first cancellation asks the database to stop the query; the second one stops
        # waiting for the database to agree.
        call.cancel()
        asyncio.get_running_loop().call_later(second_cancel_s, call.cancel)

    def _forget(self, call: asyncio.Task[Any]) -> None:
        self._calls.discard(call)
        if not call.cancelled():
            call.exception()


def _has_input(connection: Connection) -> bool:
    """Whether an idle connection is readable, which it is when the other end has closed it."""
    poller = select.poll()
    poller.register(connection.fileno(), select.POLLIN)
    return bool(poller.poll(0))
