import os
import signal

import pytest

from chaosfuzz.cli import interrupts
from chaosfuzz.cli.interrupts import ONE_REQUEST_S, interruptible, stopping
from chaosfuzz.domain.stop import StopReason, StopSignal


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(interrupts, "time", made)
    return made


def send(number: int) -> None:
    # Python calls the handler before os.kill returns to the main thread's next instruction.
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("number", "reason"),
    [(signal.SIGINT, StopReason.INTERRUPTED), (signal.SIGTERM, StopReason.TERMINATED)],
)
def test_the_first_signal_asks_to_stop_with_its_reason(number: int, reason: StopReason):
    stop = StopSignal()
    with stopping(stop.set) as seen:
        assert not seen.seen
        send(number)
        assert stop.is_set()
    assert seen.seen
    assert seen.reason is stop.reason is reason


def test_two_signals_close_together_are_one_request(clock: Clock):
    asked: list[StopReason] = []
    with stopping(asked.append):
        send(signal.SIGTERM)
        clock.now += ONE_REQUEST_S - 0.01
        send(signal.SIGTERM)
        send(signal.SIGINT)
    assert asked == [StopReason.TERMINATED]


def test_a_second_signal_a_second_later_ends_at_once(clock: Clock):
    with stopping(lambda _reason: None):
        send(signal.SIGINT)
        clock.now += ONE_REQUEST_S
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)


def test_what_is_interruptible_is_interrupted_once_by_two_close_signals(clock: Clock):
    with interruptible():
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGTERM)
        send(signal.SIGTERM)
        clock.now += ONE_REQUEST_S
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGTERM)


def test_the_handlers_from_before_are_put_back():
    before = signal.getsignal(signal.SIGINT)
    with stopping(lambda _reason: None):
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
