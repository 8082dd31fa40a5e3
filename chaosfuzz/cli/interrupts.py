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


@contextmanager
def interruptible() -> Iterator[None]:
    """Have SIGINT and SIGTERM raise KeyboardInterrupt.

    A shell has SIGINT ignored by what it runs in the background, and Python leaves it so.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
