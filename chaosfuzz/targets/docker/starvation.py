"""Finds spans in which processes waited for a processor; lateness in them is undecided."""

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path

from chaosfuzz.targets.keeper.process_tree import PROC

# Chosen by hand: a wait of more than 200 ms between two looks is a span.
STALL_NS = 200 * 10**6
# Chosen by hand: each look reads a file for each process.
_LEAST_BETWEEN_NS = 40 * 10**6


class Starvation:
    """Finds spans in which a process waited over 200 ms for a processor, by the kernel's counts.

    `spans` are pairs (began, ended) of two looks, in ns of the monotonic clock; `look` adds to
    them.
    """

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc
        self._waited_ns: dict[int, int] = {}
        self._looked_ns = 0
        self.spans: list[tuple[int, int]] = []

    def look(self, pids: Callable[[], Iterable[int]], now_ns: int) -> None:
        """Add the span since the last look if a process waited in it for more than 200 ms.

        Does nothing if the last look is less than 40 ms ago. A process that the last look did not
        see does not count.
        """
        if now_ns - self._looked_ns < _LEAST_BETWEEN_NS:
            return
        waited_ns = {pid: self._wait_ns(pid) for pid in pids()}
        worst_ns = max(
            (waited_ns[pid] - self._waited_ns.get(pid, waited_ns[pid]) for pid in waited_ns),
            default=0,
        )
        if worst_ns > STALL_NS:
            self.spans.append((self._looked_ns, now_ns))
        self._waited_ns, self._looked_ns = waited_ns, now_ns

    def _wait_ns(self, pid: int) -> int:
        """Return how long a process was ready to run and did not, since its start.

        0 if it is gone or the kernel does not count.
        """
        with contextlib.suppress(OSError, ValueError, IndexError):
            text = (self._proc / str(pid) / "schedstat").read_text(encoding="ascii")
            return int(text.split()[1])
        return 0
