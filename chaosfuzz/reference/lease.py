"""A worker's own view of how long it holds a task."""

import time

from chaosfuzz.reference.settings import Settings


class Lease:
    """Counts from before the request was sent, so it never outlives the database's lease."""

    def __init__(self, settings: Settings, sent_at_s: float) -> None:
        self._length_s = settings.lease_ms / 1000
        self._until_s = sent_at_s + self._length_s
        self._lost = False
        # DEFECT complete-without-lease-check: the worker does not look at the clock either.
        self._unchecked = settings.has("complete-without-lease-check")

    def renewed(self, sent_at_s: float) -> None:
        """The database has extended the lease, asked at the given monotonic time."""
        self._until_s = sent_at_s + self._length_s

    def lose(self) -> None:
        """The database says that the task is no longer held."""
        self._lost = True

    def holds(self) -> bool:
        """Whether the task is certainly still held."""
        return self._unchecked or (not self._lost and time.monotonic() < self._until_s)

    def remaining_s(self) -> float:
        """The time until the lease ends, not below zero."""
        if self._unchecked:
            return self._length_s
        return max(0.0, self._until_s - time.monotonic())
