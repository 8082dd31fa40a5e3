from chaosfuzz.domain.history import Fault, FaultKind, History


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
