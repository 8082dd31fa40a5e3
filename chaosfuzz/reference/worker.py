"""The worker process: claims, runs, recovers, and outlives every outage of the database."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import psycopg
from psycopg.rows import DictRow

from chaosfuzz.reference.claiming import claim
from chaosfuzz.reference.database import Database, connect
from chaosfuzz.reference.execution import Execution
from chaosfuzz.reference.lease import Lease
from chaosfuzz.reference.ledger import Ledger
from chaosfuzz.reference.process import (
    ENVIRONMENT_FAILED,
    Notices,
    announce_ready,
    one_line,
    quieten_driver,
)
from chaosfuzz.reference.recovery import recover
from chaosfuzz.reference.registration import register
from chaosfuzz.reference.schema import CHANNEL
from chaosfuzz.reference.settings import Settings

LISTEN_TURN_S = 5.0


class Worker:
    """Up to `concurrency` executions at a time, until told to stop."""

    def __init__(self, settings: Settings, ledger: Ledger, notices: Notices) -> None:
        self._settings = settings
        self._ledger = ledger
        self._notices = notices
        self._name = f"{settings.component}:{os.getpid()}"
        self._database = Database(
            settings.dsn,
            timeout_ms=settings.request_timeout_ms,
            max_connections=settings.concurrency * 2 + 2,
            notices=notices,
        )
        self._executions: dict[asyncio.Task[None], Execution] = {}
        self._types: tuple[str, ...] = ()
        self._snapshot: list[DictRow] = []
        self._filling = True
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._exit_code = 0
        self._crash: BaseException | None = None

    async def serve(self, on_ready: Callable[[], None]) -> int:
        """Work until stopped; return the exit code.

        An error nobody foresaw ends the work as well and is raised at the end: a worker that
        looked alive and claimed nothing would be worse.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        # It is ready whether or not it could register: the database may come later.
        await self._register()
        claiming = self._watched(self._work())
        others = [self._watched(self._repeat(self._listen))]
        # DEFECT no-lease-recovery: expired leases are nobody's business.
        if not self._settings.has("no-lease-recovery"):
            others.append(self._watched(self._repeat(self._recover)))
        on_ready()
        await self._stopping.wait()
        for each in others:
            each.cancel()
        if self._exit_code == 0:
            # A claim under way is not cancelled: it may have been granted already.
            await asyncio.wait({claiming})
            await self._drain()
        await self._database.close()
        if self._crash is not None:
            raise self._crash
        return self._exit_code

    def stop(self) -> None:
        """Claim no more and end when what is running has ended."""
        self._stopping.set()
        self._wake.set()

    def _watched(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        watched = asyncio.create_task(work)
        watched.add_done_callback(self._look_at)
        return watched

    def _look_at(self, ended: asyncio.Task[None]) -> None:
        if not ended.cancelled() and ended.exception() is not None:
            self._crash = self._crash or ended.exception()
            self.stop()

    async def _repeat(self, step: Callable[[], Awaitable[None]]) -> None:
        while not self._stopping.is_set():
            try:
                await step()
            except (psycopg.Error, OSError) as error:
                self._failed(error)
                await self._pause(min(self._settings.poll_ms, self._settings.reconnect_ms))

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, psycopg.OperationalError):
            self._notices.say(f"the database refused: {one_line(error)}")
        # DEFECT worker-exits-on-database-loss: an error of the connection ends the process.
        if self._settings.has("worker-exits-on-database-loss") and isinstance(
            error, psycopg.OperationalError
        ):
            self._exit_code = 1
            self.stop()

    async def _pause(self, pause_ms: int) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), pause_ms / 1000)

    async def _register(self) -> None:
        settings, name = self._settings, self._name
        try:
            self._types = await self._database.run(lambda each: register(each, settings, name))
        except psycopg.Error as error:
            self._failed(error)

    async def _work(self) -> None:
        # DEFECT type-registration-once: where that failed, no task is ever claimed.
        while not self._types and not self._settings.has("type-registration-once"):
            await self._pause(min(self._settings.poll_ms, self._settings.reconnect_ms))
            if self._stopping.is_set():
                return
            await self._register()
        await self._repeat(self._claim_next)

    async def _claim_next(self) -> None:
        self._wake.clear()
        if self._has_room():
            sent_at_s = time.monotonic()
            taken = await self._database.run(
                lambda each: claim(each, self._settings, self._name, self._types, self._snapshot)
            )
            self._filling = taken is not None
            if taken is not None:
                lease = Lease(self._settings, sent_at_s)
                self._start(Execution(taken, lease, self._database, self._ledger, self._settings))
                return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), self._settings.poll_ms / 1000)

    def _has_room(self) -> bool:
        # DEFECT batch-blocks-polling: what was claimed together is waited for together.
        if self._settings.has("batch-blocks-polling") and self._executions and not self._filling:
            return False
        room = len(self._executions) < self._settings.concurrency
        self._filling = self._filling and room
        return room

    def _start(self, execution: Execution) -> None:
        running = asyncio.create_task(execution.run())
        self._executions[running] = execution
        running.add_done_callback(self._finished)

    def _finished(self, running: asyncio.Task[None]) -> None:
        self._executions.pop(running, None)
        self._wake.set()
        # The task is still leased; recovery counts the attempt and gives it to somebody else.
        if not running.cancelled() and (error := running.exception()) is not None:
            self._notices.say(f"an execution broke off: {one_line(error)}")

    async def _recover(self) -> None:
        await self._database.run(lambda each: recover(each, self._settings))
        await self._pause(self._settings.recovery_ms)

    async def _listen(self) -> None:
        connection = await connect(self._settings.dsn)
        try:
            await connection.execute(f"LISTEN {CHANNEL}")
            # What was announced before is not announced again.
            self._wake.set()
            while True:
                async for _ in connection.notifies(timeout=LISTEN_TURN_S):
                    self._wake.set()
        finally:
            connection.pgconn.finish()

    async def _drain(self) -> None:
        # DEFECT term-drops-in-flight: it ends at once, and what is cut short counts as done.
        dropped = self._settings.has("term-drops-in-flight")
        if self._executions and not dropped:
            await asyncio.wait(tuple(self._executions), timeout=self._settings.grace_ms / 1000)
        for execution in tuple(self._executions.values()):
            execution.give_up()
        if self._executions:
            # What cannot be given back in an outage is taken back when its lease expires.
            limit_ms = min(self._settings.request_timeout_ms, self._settings.lease_ms)
            await asyncio.wait(tuple(self._executions), timeout=limit_ms / 1000)


def run(settings: Settings, ready_fd: int | None) -> int:
    """Run a worker in this process until SIGTERM; return the exit code.

    A byte is written to `ready_fd` once the signal handlers are installed and the loops run.
    """
    quieten_driver()
    notices = Notices(settings.component)
    try:
        ledger = Ledger.open(settings.ledger_path, settings.component)
    except OSError as error:
        notices.say(f"cannot open the ledger: {one_line(error)}")
        return ENVIRONMENT_FAILED

    async def serve() -> int:
        return await Worker(settings, ledger, notices).serve(lambda: announce_ready(ready_fd))

    try:
        return asyncio.run(serve())
    finally:
        ledger.close()
