"""SIGINT and SIGTERM: the first lets a command end and save, the second ends it at once."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from chaosfuzz.domain.stop import StopReason

EXIT_INTERRUPTED = 130
# Signals closer than this are one request: `timeout` signals its child and then the whole group,
# and a terminal and a shell may both pass on a Ctrl-C. A person presses it twice more slowly.
# Chosen by hand.
ONE_REQUEST_S = 1.0
_REASONS = {signal.SIGINT: StopReason.INTERRUPTED, signal.SIGTERM: StopReason.TERMINATED}


class Interrupts:
    """Whether the user asked to stop, and why the work stops (None: it was not asked to)."""

    def __init__(self) -> None:
        self.reason: StopReason | None = None

    @property
    def seen(self) -> bool:
        """Say whether the user asked to stop."""
        return self.reason is not None


@contextmanager
def stopping(stop: Callable[[StopReason], None]) -> Iterator[Interrupts]:
    """Call `stop` at the first SIGINT or SIGTERM; raise KeyboardInterrupt at a later second one.

    A second signal within ONE_REQUEST_S of the first belongs to the first.
    """
    state = Interrupts()
    first = 0.0

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal first
        if state.reason is None:
            state.reason, first = _REASONS[signal.Signals(number)], time.monotonic()
            stop(state.reason)
        elif time.monotonic() - first >= ONE_REQUEST_S:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, handle) for number in _REASONS}
    try:
        yield state
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def interruptible() -> Iterator[None]:
    """Have SIGINT and SIGTERM raise KeyboardInterrupt, two close ones once.

    A shell has SIGINT ignored by what it runs in the background, and Python leaves it so.
    """

    def interrupt(_reason: StopReason) -> None:
        raise KeyboardInterrupt

    with stopping(interrupt):
        yield
