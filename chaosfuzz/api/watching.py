"""Waits until tasks have ended, or until none has ended for a while."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from chaosfuzz.domain.task_counts import TaskCounts

# Both chosen by hand.
STALL_S = 30.0
INTERVAL_S = 0.5
# Returns None while the tasks cannot be listed, for example while the server is down.
CountTasks = Callable[[], TaskCounts | None]


class Ending(StrEnum):
    """Why the waiting ended."""

    DONE = "done"
    DEADLINE = "deadline"
    STALLED = "stalled"
    INTERRUPTED = "interrupted"


@dataclass(kw_only=True)
class Watch:
    """Counts tasks until at least `expected` exist and all of them have ended.

    Setting `stop` ends the wait early; so do `deadline_s` seconds in all, if not None, and
    `stall_s` seconds without a new or newly ended task. `interval_s` seconds lie between counts.
    """

    count: CountTasks
    stop: threading.Event
    expected: int = 1
    deadline_s: float | None = None
    interval_s: float = INTERVAL_S
    stall_s: float = STALL_S
    counts: TaskCounts = field(default_factory=TaskCounts, init=False)
    ending: Ending = field(default=Ending.INTERRUPTED, init=False)
    duration_s: float = field(default=0.0, init=False)

    def run(self) -> Iterator[TaskCounts | None]:
        """Yield each count, None for a count that failed; set `ending` and `duration_s`."""
        began_s = moved_s = time.monotonic()
        while True:
            seen = self.count()
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
            self.stop.wait(self.interval_s)

    def _ended(self, seen: TaskCounts | None, still_s: float) -> Ending | None:
        if seen is not None and seen.unfinished == 0 and seen.total >= self.expected:
            return Ending.DONE
        if self.stop.is_set():
            return Ending.INTERRUPTED
        if self.deadline_s is not None and self.duration_s >= self.deadline_s:
            return Ending.DEADLINE
        return Ending.STALLED if still_s >= self.stall_s else None
