import sys
import threading
from collections.abc import Iterator

import pytest

from chaosfuzz.domain.history import Fault, FaultKind, History, ProcessExit


def fault(began: int, ended: int | None) -> Fault:
    return Fault(kind=FaultKind.PAUSED, component="worker-1", began_ns=began, ended_ns=ended)


def test_a_fault_touches_what_it_was_in_force_in():
    assert fault(5, 10).touches(10, 20)
    assert fault(5, 10).touches(0, 5)
    assert fault(5, 10).touches(6, 7)
    assert fault(5, None).touches(100, 200)
    assert not fault(5, 10).touches(11, 20)
    assert not fault(5, None).touches(0, 4)


def test_ending_a_fault_leaves_others_in_force():
    history = History(began_ns=0)
    history.begin_fault(FaultKind.PAUSED, "worker-1", 1)
    history.begin_fault(FaultKind.PAUSED, "worker-2", 2)
    history.begin_fault(FaultKind.DATABASE_DOWN, "database", 3)
    history.end_fault(FaultKind.PAUSED, "worker-1", 4)
    assert [f.ended_ns for f in history.faults] == [4, None, None]
    assert history.fault_in_force(FaultKind.PAUSED)
    history.end_fault(FaultKind.PAUSED, "worker-2", 5)
    assert not history.fault_in_force(FaultKind.PAUSED)
    assert history.fault_in_force(FaultKind.DATABASE_DOWN)


def test_a_fault_that_is_over_stays_over():
    history = History(began_ns=0)
    history.begin_fault(FaultKind.PAUSED, "worker-1", 1)
    history.end_fault(FaultKind.PAUSED, "worker-1", 2)
    history.end_fault(FaultKind.PAUSED, "worker-1", 9)
    assert history.faults[0].ended_ns == 2


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Have threads take turns as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("eager_threads")
def test_threads_lose_nothing_of_what_each_other_record():
    history = History(began_ns=0)

    def record(component: str) -> None:
        for at_ns in range(200):
            history.begin_fault(FaultKind.PAUSED, component, at_ns)
            history.add(ProcessExit(component=component, pid=at_ns, exit_code=0, ordered=True))
            history.confirm_fault(FaultKind.PAUSED, component, at_ns)
            history.end_fault(FaultKind.PAUSED, component, at_ns)

    threads = [threading.Thread(target=record, args=(f"worker-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(history.faults) == len(history.exits) == 800
    for number in range(4):
        own = [fault for fault in history.faults if fault.component == f"worker-{number}"]
        assert [fault.began_ns for fault in own] == [*range(200)]
        assert all(fault.began_ns == fault.certain_ns == fault.ended_ns for fault in own)


def test_the_time_of_an_exit_is_when_it_was_told_unless_it_is_known():
    gone = ProcessExit(component="worker-1", pid=7, exit_code=1, ordered=False)
    assert gone.known_by(30).at_ns == 30
    assert gone.known_by(30).known_by(40).at_ns == 30
