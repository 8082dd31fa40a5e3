"""Notices when containers did not get the processor they asked for, which excuses lateness."""

import contextlib
import time
from collections.abc import Iterable
from pathlib import Path

from chaosfuzz.targets.keeper.process_tree import PROC

STALL_NS = 200 * 10**6
# Each look reads a file for each process.
_LEAST_BETWEEN_NS = 40 * 10**6


class Starvation:
    """Compares how long processes have waited for a processor, as the kernel counts it."""

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc
        self._waited_ns: dict[int, int] = {}
        self._looked_ns = 0
        self.spans: list[tuple[int, int]] = []

    def is_due(self, now_ns: int) -> bool:
        """Say whether it is worth looking again."""
        return now_ns - self._looked_ns >= _LEAST_BETWEEN_NS

    def look(self, pids: Iterable[int], now_ns: int | None = None) -> None:
        """Look at processes; a span in which one waited for long is kept."""
        at_ns = time.monotonic_ns() if now_ns is None else now_ns
        waited_ns = {pid: self._wait_ns(pid) for pid in pids}
        worst_ns = max(
            (waited_ns[pid] - self._waited_ns.get(pid, waited_ns[pid]) for pid in waited_ns),
            default=0,
        )
        if worst_ns > STALL_NS:
            self.spans.append((self._looked_ns, at_ns))
        self._waited_ns, self._looked_ns = waited_ns, at_ns

    def _wait_ns(self, pid: int) -> int:
        """Return how long it was ready to run and did not; 0 of kernels that do not count."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            text = (self._proc / str(pid) / "schedstat").read_text(encoding="ascii")
            return int(text.split()[1])
        return 0
