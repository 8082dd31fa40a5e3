"""The worker process: claims tasks, runs them, recovers expired leases, survives outages."""

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

# Chosen by hand.
LISTEN_TURN_S = 5.0


class Worker:
    """Claims and executes up to `concurrency` tasks at a time until SIGTERM or SIGINT."""

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
        """Work until stopped; return the exit code. Call `on_ready` once the loops run.

        A graceful shutdown waits up to `grace_ms` for running tasks, then gives them back to the
        queue. An unexpected error stops the worker too and is raised at the end.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        # The worker is ready even if it could not register: the database may start later.
        await self._register()
        claiming = self._watched(self._work())
        others = [self._watched(self._repeat(self._listen))]
        # DEFECT no-lease-recovery: no worker looks for expired leases.
        if not self._settings.has("no-lease-recovery"):
            others.append(self._watched(self._repeat(self._recover)))
        on_ready()
        await self._stopping.wait()
        for each in others:
            each.cancel()
        if self._exit_code == 0:
            # A claim under way is not cancelled: the database may have granted it already.
            await asyncio.wait({claiming})
            await self._drain()
        await self._database.close()
        if self._crash is not None:
            raise self._crash
        return self._exit_code

    def stop(self) -> None:
        """Stop claiming; `serve` returns after the graceful shutdown."""
        self._stopping.set()
        self._wake.set()

    def _watched(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        watched = asyncio.create_task(work)
        watched.add_done_callback(self._note_crash)
        return watched

    def _note_crash(self, ended: asyncio.Task[None]) -> None:
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
        try:
            self._types = await self._database.run(register, self._settings, self._name)
        except psycopg.Error as error:
            self._failed(error)

    async def _work(self) -> None:
        # DEFECT type-registration-once: if that failed, no task is ever claimed.
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
                claim, self._settings, self._name, self._types, self._snapshot
            )
            self._filling = taken is not None
            if taken is not None:
                lease = Lease(self._settings, sent_at_s)
                execution = Execution(taken, lease, self._database, self._ledger, self._settings)
                running = asyncio.create_task(execution.run())
                self._executions[running] = execution
                running.add_done_callback(self._finished)
                return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), self._settings.poll_ms / 1000)

    def _has_room(self) -> bool:
        # DEFECT batch-blocks-polling: no claim before all tasks of a batch have ended.
        if self._settings.has("batch-blocks-polling") and self._executions and not self._filling:
            return False
        room = len(self._executions) < self._settings.concurrency
        self._filling = self._filling and room
        return room

    def _finished(self, running: asyncio.Task[None]) -> None:
        self._executions.pop(running, None)
        self._wake.set()
        # The task keeps its lease, and recovery queues it again once that has expired.
        if not running.cancelled() and (error := running.exception()) is not None:
            self._notices.say(f"an execution broke off: {one_line(error)}")

    async def _recover(self) -> None:
        await self._database.run(recover, self._settings)
        await self._pause(self._settings.recovery_ms)

    async def _listen(self) -> None:
        connection = await connect(self._settings.dsn)
        try:
            await connection.execute(f"LISTEN {CHANNEL}")
            # Tasks announced before this LISTEN are not announced again.
            self._wake.set()
            while True:
                async for _ in connection.notifies(timeout=LISTEN_TURN_S):
                    self._wake.set()
        finally:
            connection.pgconn.finish()

    async def _drain(self) -> None:
        # DEFECT term-drops-in-flight: running tasks are cancelled at once and marked completed.
        dropped = self._settings.has("term-drops-in-flight")
        if self._executions and not dropped:
            await asyncio.wait(tuple(self._executions), timeout=self._settings.grace_ms / 1000)
        for execution in tuple(self._executions.values()):
            execution.release()
        if self._executions:
            # In an outage tasks cannot be given back; recovery takes them after their leases.
            limit_ms = min(self._settings.request_timeout_ms, self._settings.lease_ms)
            await asyncio.wait(tuple(self._executions), timeout=limit_ms / 1000)


def run(settings: Settings, ready_fd: int | None) -> int:
    """Run a worker in this process until SIGTERM; return the exit code.

    Write a byte to `ready_fd` once the signal handlers are installed and the loops run. Return
    ENVIRONMENT_FAILED if the ledger cannot be opened.
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
