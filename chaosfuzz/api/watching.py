"""Waiting for tasks to end: not longer than needed, nor when nothing moves any more."""

import threading
import time
from collections.abc import Callable, Iterator
from enum import StrEnum

from chaosfuzz.domain.task_counts import TaskCounts

STALL_S = 30.0
INTERVAL_S = 0.5

CountTasks = Callable[[], TaskCounts | None]


class Ending(StrEnum):
    """Why the waiting ended."""

    DONE = "done"
    DEADLINE = "deadline"
    STALLED = "stalled"
    INTERRUPTED = "interrupted"


class Watch:
    """Looks at tasks until all have ended.

    Ends early at `deadline_s`, and after `stall_s` in which none ended. `count` returns None as
    long as nobody can tell, as while the server is down.
    """

    def __init__(
        self,
        count: CountTasks,
        stop: threading.Event,
        *,
        expected: int = 1,
        deadline_s: float | None = None,
        interval_s: float = INTERVAL_S,
        stall_s: float = STALL_S,
    ) -> None:
        self.counts = TaskCounts()
        self.ending = Ending.INTERRUPTED
        self.duration_s = 0.0
        self._count = count
        self._stop = stop
        self._expected = expected
        self._deadline_s = deadline_s
        self._interval_s = interval_s
        self._stall_s = stall_s

    def run(self) -> Iterator[TaskCounts | None]:
        """Yield what each look shows, None if nothing could be seen."""
        began_s = moved_s = time.monotonic()
        while True:
            seen = self._count()
            now_s = time.monotonic()
            self.duration_s = now_s - began_s
            if seen is not None:
                if seen.ended != self.counts.ended or seen.total > self.counts.total:
                    moved_s = now_s
                self.counts = seen
            yield seen
            ending = self._ended(seen, now_s - moved_s)
            if ending is not None:
                self.ending = ending
                return
            self._stop.wait(self._interval_s)

    def _ended(self, seen: TaskCounts | None, still_s: float) -> Ending | None:
        if seen is not None and seen.unfinished == 0 and seen.total >= self._expected:
            return Ending.DONE
        if self._stop.is_set():
            return Ending.INTERRUPTED
        if self._deadline_s is not None and self.duration_s >= self._deadline_s:
            return Ending.DEADLINE
        return Ending.STALLED if still_s >= self._stall_s else None
