import threading

import pytest

from chaosfuzz.domain.stop import Stopped, StopReason, StopSignal


def test_nothing_is_raised_before_the_signal():
    StopSignal().check()


def test_the_first_reason_stays():
    stop = StopSignal()
    stop.set(StopReason.TERMINATED)
    stop.set(StopReason.OVER)
    with pytest.raises(Stopped) as raised:
        stop.check()
    assert raised.value.reason is StopReason.TERMINATED


def test_a_check_that_waits_ends_as_soon_as_the_signal_is_set():
    stop = StopSignal()
    threading.Timer(0.05, stop.set, [StopReason.INTERRUPTED]).start()
    with pytest.raises(Stopped):
        stop.check(within_s=60.0)
