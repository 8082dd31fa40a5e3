"""Notices how late the machine itself is, which excuses lateness of the target."""

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

TICK_S = 0.02
STALL_MS = 200
# Lateness is kept for as long as a schedule can take, a figure every so many ticks.
TICKS_A_FIGURE = 5
KEPT_FIGURES = 10_000
MOST_A_PROCESSOR = 6
_SCHEDSTAT = Path("/proc/thread-self/schedstat")
_LOADAVG = Path("/proc/loadavg")


class Stalls(Protocol):
    """Knows when the machine itself stood still or was slow."""

    def since(self, began_ns: int) -> list[tuple[int, int]]:
        """Return the stalls (began, ended) that ended after an instant."""
        ...

    def lateness_since(self, began_ns: int) -> list[tuple[int, int]]:
        """Return when, from an instant on, the harness had been late by how much in all, in ns."""
        ...


class StallMonitor:
    """A thread that wakes every tick; it records gaps of more than STALL_MS, and its lateness."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._stalls: list[tuple[int, int]] = []
        self._late: deque[tuple[int, int]] = deque(maxlen=KEPT_FIGURES)
        self._thread = threading.Thread(target=self._watch, name="stall-monitor", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        late_ns, crowd = _lateness(), Crowd()
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
        """Return the stalls (began, ended) that ended after an instant."""
        return [stall for stall in self._stalls if stall[1] >= began_ns]

    def lateness_since(self, began_ns: int) -> list[tuple[int, int]]:
        """Return when, from an instant on, the thread had been late by how much in all, in ns."""
        kept: list[tuple[int, int]] = []
        for at_ns, late_ns in reversed(tuple(self._late)):
            kept.append((at_ns, late_ns))
            if at_ns < began_ns:
                break
        return kept[::-1]

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(timeout=5)


class Crowd:
    """Adds up time in which so many wanted each processor that whoever computes hardly got on.

    A thread that sleeps is served soon even then: half of that time is counted as lateness.
    """

    def __init__(self, path: Path = _LOADAVG, processors: int | None = None) -> None:
        self._path = path
        self._most = MOST_A_PROCESSOR * (processors or len(os.sched_getaffinity(0)))
        self._late_ns = 0

    def late_ns(self, passed_ns: int) -> int:
        """Return the sum, `passed_ns` after the last look."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            if int(self._path.read_text().split()[3].partition("/")[0]) > self._most:
                self._late_ns += max(0, passed_ns) // 2
        return self._late_ns


def _lateness() -> Callable[[int], int]:
    """Return what adds up the lateness of this thread, given that of its latest tick.

    The kernel counts how long a thread that could run waited for a processor. Where it does not,
    ticks that come late have to do; other threads of this process make them late as well.
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
