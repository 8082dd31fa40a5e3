"""An asyncio event loop on a thread of its own."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, TypeVar

from chaosfuzz.domain.errors import InfrastructureError

Result = TypeVar("Result")

# Chosen by hand: every call is done within milliseconds on a machine that is not overloaded.
_REPORT = "run again, and report it with the log if it recurs"
_CALL_TIMEOUT_S = 10.0
# asyncio closes the socket of an aborted transport in a later turn of the loop. Chosen by hand.
_CLOSING_TURNS = 20


class EventLoopThread:
    """Runs functions on its event loop; all methods may be called from any other thread.

    An error that no caller would hear of is kept until `check` raises it.
    """

    def __init__(self) -> None:
        self._problems: list[tuple[str, BaseException | None]] = []
        self._is_closed = False
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._unhandled)
        self._thread = threading.Thread(target=self._run, name="chaosfuzz-wire", daemon=True)
        self._thread.start()

    def run(self, function: Callable[[], Result]) -> Result:
        """Run a function on the loop; return its result. Raises as `await_` does."""

        async def work() -> Result:
            return function()

        return self.await_(work())

    def await_(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine on the loop; return its result.

        Raises:
            InfrastructureError: the loop has ended, or does not answer within 10 s.

        """
        if self._is_closed or not self._thread.is_alive():
            work.close()
            raise InfrastructureError(
                cause="the proxy has been closed, so it takes no orders", remedy="open another lane"
            )
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(_CALL_TIMEOUT_S)
        except FutureTimeoutError as error:
            raise InfrastructureError(
                cause=f"the proxy did not answer within {_CALL_TIMEOUT_S:g} s",
                remedy=(
                    "run fewer lanes (--lanes) if the machine is busy; else report it with the log"
                ),
            ) from error

    def report(self, problem: str, error: BaseException | None) -> None:
        """Keep an error for `check`."""
        self._problems.append((problem, error))

    def check(self) -> None:
        """Raise what has gone wrong since the last check.

        Raises:
            InfrastructureError: the proxy has failed, and what was seen through it proves nothing.

        """
        if self._problems:
            problems, self._problems = self._problems, []
            message, error = problems[0]
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise InfrastructureError(
                cause=f"the proxy: {message}{more}", remedy=_REPORT
            ) from error
        if not self._is_closed and not self._thread.is_alive():
            raise InfrastructureError(cause="the proxy's thread has ended", remedy=_REPORT)

    def close(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a last coroutine, cancel all tasks, and end the thread."""
        if self._is_closed:
            return

        async def end() -> None:
            await last()
            for _ in range(_CLOSING_TURNS):
                await asyncio.sleep(0)
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        try:
            self.await_(end())
        finally:
            self._is_closed = True
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_CALL_TIMEOUT_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    def _unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.report(f"{context.get('message')}: {error!r}", error)
