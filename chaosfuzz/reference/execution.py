"""One claimed task on its way through its handler to its result."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import psycopg

from chaosfuzz.reference.claiming import Claim
from chaosfuzz.reference.database import Connection, Database
from chaosfuzz.reference.handlers import HANDLERS, HandlerError, Work
from chaosfuzz.reference.lease import Lease
from chaosfuzz.reference.ledger import Ledger, LedgerEntry
from chaosfuzz.reference.results import complete, extend_lease, fail, put_back, release
from chaosfuzz.reference.settings import Settings

RETRY_PAUSE_S = 0.02


class LeaseLostError(Exception):
    """The lease ended before the handler was started."""


class ConnectionLostError(Exception):
    """The connection broke while a result was written on it."""


class Execution:
    """Runs the handler of a claim, keeps its lease meanwhile and writes its result."""

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
        """Run to the end; failures of the handler and of the database are dealt with here."""
        # DEFECT breaker-drains-queue: being turned away counts as a failed attempt.
        if self._claim.refused:
            error = "the circuit breaker is open"
            await self._tell(lambda each: fail(each, self._claim, self._settings, error))
            return
        # DEFECT ack-before-run: the task is done before anybody did it.
        acknowledged = self._settings.has("ack-before-run")
        if acknowledged:
            await self._tell(lambda each: complete(each, self._claim, self._settings))
        self._handling = asyncio.create_task(self._handle())
        if self._released:
            self._handling.cancel()
        # DEFECT no-heartbeat: the lease is what the claim gave, however long the work takes.
        beating = None
        if not acknowledged and not self._settings.has("no-heartbeat"):
            beating = asyncio.create_task(self._keep_lease(self._handling))
        # DEFECT cut-connection-forgets-task: the heartbeat goes on until the result is written,
        # and for ever if that fails.
        if beating is not None and self._settings.has("cut-connection-forgets-task"):
            await asyncio.wait({self._handling})
            await self._report(self._handling)
            beating.cancel()
            return
        try:
            await asyncio.wait({self._handling})
        finally:
            if beating is not None:
                beating.cancel()
        if not acknowledged:
            await self._report(self._handling)

    def give_up(self) -> None:
        """Stop the handler and give the task back."""
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
                message = f"no handler for {claim.task_type}"
                raise HandlerError(message)
            scale = self._settings.handler_scale
            await handler(Work(payload=payload, attempt=claim.attempt, scale=scale))
        except asyncio.CancelledError:
            self._ledger.write("end", entry)
            raise
        except Exception:
            self._ledger.write("end", entry, "failed")
            raise
        self._ledger.write("end", entry, "finished")

    async def _keep_lease(self, handling: asyncio.Task[None]) -> None:
        beat_s = self._settings.heartbeat_ms / 1000
        pause_s = beat_s
        while True:
            await asyncio.sleep(min(pause_s, self._lease.remaining_s()))
            extended = self._lease.holds() and await self._extend()
            if not self._lease.holds():
                # Somebody else may run the task by now, so this one should not.
                handling.cancel()
                return
            pause_s = beat_s if extended else RETRY_PAUSE_S

    async def _extend(self) -> bool:
        sent_at_s = time.monotonic()
        try:
            held = await self._database.run(
                lambda each: extend_lease(each, self._claim, self._settings),
                timeout_s=max(0.01, self._lease.remaining_s()),
            )
        except psycopg.Error:
            return False
        if held:
            self._lease.renewed(sent_at_s)
        else:
            self._lease.lose()
        return held

    async def _report(self, handling: asyncio.Task[None]) -> None:
        claim, settings = self._claim, self._settings
        if handling.cancelled():
            if self._released and settings.has("term-drops-in-flight"):
                await self._tell(lambda each: complete(each, claim, settings))
            elif self._released:
                await self._tell(lambda each: release(each, claim, settings))
            return
        error = handling.exception()
        if isinstance(error, LeaseLostError):
            return
        # DEFECT commit-reply-lost-reruns: no reply is taken for no result.
        if error is None and settings.has("commit-reply-lost-reruns"):
            await self._complete_or_put_back()
        elif error is None:
            await self._tell(lambda each: complete(each, claim, settings))
        else:
            await self._tell(lambda each: fail(each, claim, settings, _storable(error)))

    async def _complete_or_put_back(self) -> None:
        try:
            await self._database.run(lambda each: complete(each, self._claim, self._settings))
        except psycopg.OperationalError:
            await asyncio.sleep(RETRY_PAUSE_S)
            await self._tell(lambda each: put_back(each, self._claim))

    async def _tell(self, write: Callable[[Connection], Awaitable[bool]]) -> None:
        # Through an outage the result is worth repeating for as long as the lease holds; the
        # fence makes the repetition harmless.
        if self._settings.has("cut-connection-forgets-task"):
            write = _giving_up(write)
        while self._lease.holds() and not self._database.closed:
            try:
                await self._database.run(write)
            except psycopg.OperationalError:
                await asyncio.sleep(RETRY_PAUSE_S)
            except psycopg.Error:
                return
            else:
                return


def _giving_up(
    write: Callable[[Connection], Awaitable[bool]],
) -> Callable[[Connection], Awaitable[bool]]:
    async def once(connection: Connection) -> bool:
        try:
            return await write(connection)
        except psycopg.OperationalError as error:
            raise ConnectionLostError(str(error)) from error

    return once


def _storable(error: BaseException) -> str:
    text = f"{type(error).__name__}: {error}"[:2000].replace("\0", "")
    return text.encode(errors="replace").decode()
