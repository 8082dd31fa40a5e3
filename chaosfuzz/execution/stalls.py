"""Measures when this machine was slow: then lateness proves nothing against the target."""

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

# All chosen by hand.
TICK_S = 0.02
STALL_MS = 200
# One figure of lateness in 5 ticks (0.1 s); 10,000 of them cover 17 minutes.
TICKS_A_FIGURE = 5
KEPT_FIGURES = 10_000
# More runnable threads for each processor are a shortage.
MOST_A_PROCESSOR = 6
_SCHEDSTAT = Path("/proc/thread-self/schedstat")
_LOADAVG = Path("/proc/loadavg")


class Stalls(Protocol):
    """Records when the machine itself stood still or was slow."""

    def since(self, began_ns: int) -> list[tuple[int, int]]:
        """Return the stalls (began, ended), in ns, that ended at `began_ns` or later."""
        ...

    def lateness_since(self, began_ns: int) -> list[tuple[int, int]]:
        """Return pairs of an instant and the harness's total lateness by then, in ns.

        The first pair is the last one before `began_ns`, if there is one.
        """
        ...


class StallMonitor:
    """A thread that wakes every TICK_S; it records gaps of more than STALL_MS, and its lateness.

    The thread runs from creation until `close` (implements Stalls).
    """

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._stalls: list[tuple[int, int]] = []
        self._late: deque[tuple[int, int]] = deque(maxlen=KEPT_FIGURES)
        self._thread = threading.Thread(target=self._watch, name="stall-monitor", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        late_ns, crowd = _lateness(), ProcessorShortage()
        before = time.monotonic_ns()
        self._late.append((before, late_ns(0)))
        ticks = 0
        while not self._stop.wait(TICK_S):
            now = time.monotonic_ns()
            if now - before > STALL_MS * 10**6:
                self._stalls.append((before, now))
            ticks += 1
            late_by_ns = late_ns(now - before - round(TICK_S * 1e9)) + crowd.late_ns(now - before)
            if ticks % TICKS_A_FIGURE == 0:
                self._late.append((now, late_by_ns))
            before = now

    def since(self, began_ns: int) -> list[tuple[int, int]]:
        """Return the stalls (began, ended), in ns, that ended at `began_ns` or later."""
        return [stall for stall in self._stalls if stall[1] >= began_ns]

    def lateness_since(self, began_ns: int) -> list[tuple[int, int]]:
        """Return the figures as Stalls says; figures older than 17 minutes are gone."""
        figures: list[tuple[int, int]] = []
        for figure in reversed(tuple(self._late)):
            figures.append(figure)
            if figure[0] < began_ns:
                break
        return figures[::-1]

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(timeout=5)


class ProcessorShortage:
    """Adds up lateness while more than 6 threads for each processor are runnable.

    In such a time the monitor's own thread, which mostly sleeps, is still served soon, but threads
    that compute hardly advance. Half of that time counts as lateness (chosen by hand).
    """

    def __init__(self, path: Path = _LOADAVG, processors: int | None = None) -> None:
        self._path = path
        self._most = MOST_A_PROCESSOR * (processors or len(os.sched_getaffinity(0)))
        self._late_ns = 0

    def late_ns(self, passed_ns: int) -> int:
        """Add half of `passed_ns`, the time since the last call, if there is a shortage now.

        Return the sum in ns. If /proc/loadavg cannot be read, nothing is added.
        """
        with contextlib.suppress(OSError, ValueError, IndexError):
            if int(self._path.read_text().split()[3].partition("/")[0]) > self._most:
                self._late_ns += max(0, passed_ns) // 2
        return self._late_ns


def _lateness() -> Callable[[int], int]:
    """Return a function that takes the lateness of a tick and returns the total, both in ns.

    The total is the kernel's count of the time in which this thread waited for a processor. Where
    the kernel has no such count, the lateness of the ticks is added up; other threads of this
    process make that larger.
    """
    total_ns = 0

    def by_ticks(tick_ns: int) -> int:
        nonlocal total_ns
        total_ns += max(0, tick_ns)
        return total_ns

    def by_kernel(_tick_ns: int) -> int:
        return int(_SCHEDSTAT.read_bytes().split()[1])

    try:
        by_kernel(0)
    except (OSError, ValueError, IndexError):
        return by_ticks
    return by_kernel
