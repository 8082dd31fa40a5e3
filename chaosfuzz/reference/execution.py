"""Execution of one claimed task: its handler, its heartbeats and its result."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Concatenate, ParamSpec

import psycopg

from chaosfuzz.reference.claiming import Claim
from chaosfuzz.reference.database import Connection, Database
from chaosfuzz.reference.handlers import HANDLERS, HandlerError, Work
from chaosfuzz.reference.lease import Lease
from chaosfuzz.reference.ledger import Ledger, LedgerEntry
from chaosfuzz.reference.results import complete, extend_lease, fail, put_back, release
from chaosfuzz.reference.settings import Settings

P = ParamSpec("P")
Write = Callable[Concatenate[Connection, Claim, Settings, P], Awaitable[bool]]
# Chosen by hand.
RETRY_PAUSE_S = 0.02


class LeaseLostError(Exception):
    """The lease ended before the handler began."""


class ConnectionLostError(Exception):
    """The connection broke while a result was written; only a defect raises it."""


class Execution:
    """Runs the handler of a claim, extends its lease meanwhile and writes its result."""

    def __init__(
        self, claim: Claim, lease: Lease, database: Database, ledger: Ledger, settings: Settings
    ) -> None:
        self._claim = claim
        self._lease = lease
        self._database = database
        self._ledger = ledger
        self._settings = settings
        self._handling: asyncio.Task[None] | None = None
        self._released = False

    async def run(self) -> None:
        """Run the handler and write its result.

        A failure of the handler becomes a result. A write is repeated after an OperationalError
        while the lease lasts; another psycopg error discards the result. If the lease ends first,
        cancel the handler and write nothing.
        """
        # DEFECT breaker-drains-queue: the refusal by the breaker counts as a failed attempt.
        if self._claim.refused:
            await self._write(fail, "the circuit breaker is open")
            return
        # DEFECT ack-before-run: the task is marked completed before its handler begins.
        acknowledged = self._settings.has("ack-before-run")
        if acknowledged:
            await self._write(complete)
        self._handling = asyncio.create_task(self._handle())
        if self._released:
            self._handling.cancel()
        # DEFECT no-heartbeat: the lease is never extended.
        heartbeats = None
        if not acknowledged and not self._settings.has("no-heartbeat"):
            heartbeats = asyncio.create_task(self._send_heartbeats(self._handling))
        # DEFECT cut-connection-forgets-task: the heartbeats continue until the result is written,
        # and for ever if the write fails.
        if heartbeats is not None and self._settings.has("cut-connection-forgets-task"):
            await asyncio.wait({self._handling})
            await self._report(self._handling)
            heartbeats.cancel()
            return
        try:
            await asyncio.wait({self._handling})
        finally:
            if heartbeats is not None:
                heartbeats.cancel()
        if not acknowledged:
            await self._report(self._handling)

    def release(self) -> None:
        """Cancel the handler; `run` then gives the task back to the queue."""
        self._released = True
        if self._handling is not None:
            self._handling.cancel()

    async def _handle(self) -> None:
        if not self._lease.holds():
            raise LeaseLostError
        claim = self._claim
        payload = claim.payload if isinstance(claim.payload, dict) else {}
        entry = LedgerEntry(task=claim.task_id, token=payload.get("token"), attempt=claim.attempt)
        self._ledger.write("start", entry)
        try:
            handler = HANDLERS.get(claim.task_type)
            if handler is None:
                raise HandlerError(f"no handler for {claim.task_type}")
            scale = self._settings.handler_scale
            await handler(Work(payload=payload, attempt=claim.attempt, scale=scale))
        except asyncio.CancelledError:
            self._ledger.write("end", entry)
            raise
        except Exception:
            self._ledger.write("end", entry, "failed")
            raise
        self._ledger.write("end", entry, "finished")

    async def _send_heartbeats(self, handling: asyncio.Task[None]) -> None:
        beat_s = self._settings.heartbeat_ms / 1000
        pause_s = beat_s
        while True:
            await asyncio.sleep(min(pause_s, self._lease.remaining_s()))
            extended = self._lease.holds() and await self._extend()
            if not self._lease.holds():
                # Another worker may run the task by now.
                handling.cancel()
                return
            pause_s = beat_s if extended else RETRY_PAUSE_S

    async def _extend(self) -> bool:
        sent_at_s = time.monotonic()
        try:
            timeout_s = max(0.01, self._lease.remaining_s())
            held = await self._database.run_within(
                timeout_s, extend_lease, self._claim, self._settings
            )
        except psycopg.Error:
            return False
        if held:
            self._lease.extend(sent_at_s)
        else:
            self._lease.lose()
        return held

    async def _report(self, handling: asyncio.Task[None]) -> None:
        if handling.cancelled():
            if self._released and self._settings.has("term-drops-in-flight"):
                await self._write(complete)
            elif self._released:
                await self._write(release)
            return
        error = handling.exception()
        if isinstance(error, LeaseLostError):
            return
        # DEFECT commit-reply-lost-reruns: a lost reply counts as a result not written.
        if error is None and self._settings.has("commit-reply-lost-reruns"):
            await self._complete_or_put_back()
        elif error is None:
            await self._write(complete)
        else:
            await self._write(fail, _storable(error))

    async def _complete_or_put_back(self) -> None:
        try:
            await self._database.run(complete, self._claim, self._settings)
        except psycopg.OperationalError:
            await asyncio.sleep(RETRY_PAUSE_S)
            await self._write(put_back)

    async def _write(self, write: Write[P], *arguments: P.args, **named: P.kwargs) -> None:
        # In an outage the write is repeated while the lease lasts. The fencing token makes a
        # repeated write harmless.
        if self._settings.has("cut-connection-forgets-task"):
            write = _without_retry(write)
        while self._lease.holds() and not self._database.closed:
            try:
                await self._database.run(write, self._claim, self._settings, *arguments, **named)
            except psycopg.OperationalError:
                await asyncio.sleep(RETRY_PAUSE_S)
            except psycopg.Error:
                return
            else:
                return


def _without_retry(write: Write[P]) -> Write[P]:
    async def once(
        on: Connection, claim: Claim, settings: Settings, /, *args: P.args, **named: P.kwargs
    ) -> bool:
        try:
            return await write(on, claim, settings, *args, **named)
        except psycopg.OperationalError as error:
            raise ConnectionLostError(str(error)) from error

    return once


def _storable(error: BaseException) -> str:
    text = f"{type(error).__name__}: {error}"[:2000].replace("\0", "")
    return text.encode(errors="replace").decode()
