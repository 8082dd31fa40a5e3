"""How late the machine is, measured on the machine."""

import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from chaosfuzz.execution import stalls
from chaosfuzz.execution.stalls import ProcessorShortage, StallMonitor


def wait_for(figures: int, monitor: StallMonitor, began_ns: int) -> None:
    deadline = time.monotonic() + 10
    while len(monitor.lateness_since(began_ns)) < figures:
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


@pytest.mark.parametrize("has_kernel_figures", [True, False])
def test_lateness_adds_up_from_before_the_instant_on(
    monkeypatch: pytest.MonkeyPatch, has_kernel_figures: bool
):
    if not has_kernel_figures:
        monkeypatch.setattr(stalls, "_SCHEDSTAT", Path("/nowhere"))
    with closing(StallMonitor()) as monitor:
        wait_for(2, monitor, 0)
        began_ns = time.monotonic_ns()
        wait_for(4, monitor, began_ns)
        known = monitor.lateness_since(began_ns)
    assert known == sorted(known)
    assert known[0][0] < began_ns <= known[1][0]
    lates = [late for _, late in known]
    assert lates == sorted(lates)
    assert lates[-1] - lates[0] < known[-1][0] - known[0][0]


def test_ticks_that_come_late_do_where_the_kernel_counts_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stalls, "_SCHEDSTAT", Path("/nowhere"))
    late = stalls._lateness()
    assert [late(0), late(5), late(-3), late(7)] == [0, 5, 5, 12]


def test_time_counts_by_half_while_too_many_want_the_processors(tmp_path: Path):
    load = tmp_path / "loadavg"
    crowd = ProcessorShortage(load, processors=2)
    sums = []
    for running in (12, 13, 40, 1):
        load.write_text(f"9.00 8.00 7.00 {running}/300 4711\n")
        sums.append(crowd.late_ns(20))
    assert sums == [0, 10, 20, 20]
    load.write_text("nothing")
    assert crowd.late_ns(20) == 20
