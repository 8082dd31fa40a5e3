"""The signal that asks running work to stop, and the exception that ends it."""

import threading
from enum import StrEnum


class StopReason(StrEnum):
    """Why work is asked to stop."""

    # SIGINT, as by Ctrl-C.
    INTERRUPTED = "interrupted"
    # SIGTERM, as by `kill` and `timeout`.
    TERMINATED = "terminated"
    # A failure has been found, or an error ended the search: other lanes are not needed.
    OVER = "over"


class Stopped(Exception):  # noqa: N818 - no error: the work was asked to stop
    """Ends work that was asked to stop. Never a verdict, and no fault of the harness."""

    def __init__(self, reason: StopReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class StopSignal(threading.Event):
    """A request to stop, with its reason; lanes and the main thread share one."""

    reason = StopReason.INTERRUPTED

    def set(self, reason: StopReason = StopReason.INTERRUPTED) -> None:
        """Ask all who share the signal to stop; the first reason stays."""
        if not self.is_set():
            self.reason = reason
        super().set()

    def check(self, within_s: float = 0.0) -> None:
        """Wait so many seconds for the signal; raise Stopped as soon as it is set."""
        if self.wait(within_s):
            raise Stopped(self.reason)
