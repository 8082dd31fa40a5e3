"""Ctrl-C: the first asks the work to end and save, the second ends it at once."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """Whether the user asked to stop."""

    def __init__(self) -> None:
        self.seen = False


@contextmanager
def stopping(stop: Callable[[], None]) -> Iterator[Interrupts]:
    """Call `stop` at the first SIGINT or SIGTERM; raise KeyboardInterrupt at the second."""
    state = Interrupts()

    def handle(_number: int, _frame: FrameType | None) -> None:
        if state.seen:
            raise KeyboardInterrupt
        state.seen = True
        stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield state
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
