"""Notices when the machine itself stood still, which excuses lateness of the target."""

import threading
import time

TICK_S = 0.02
STALL_MS = 200


class StallMonitor:
    """A thread that wakes every tick and records gaps of more than STALL_MS."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._stalls: list[tuple[int, int]] = []
        self._thread = threading.Thread(target=self._watch, name="stall-monitor", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        before = time.monotonic_ns()
        while not self._stop.wait(TICK_S):
            now = time.monotonic_ns()
            if now - before > STALL_MS * 10**6:
                self._stalls.append((before, now))
            before = now

    def since(self, began_ns: int) -> list[tuple[int, int]]:
        """Return the stalls (began, ended) that ended after an instant."""
        return [stall for stall in self._stalls if stall[1] >= began_ns]

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(timeout=5)
