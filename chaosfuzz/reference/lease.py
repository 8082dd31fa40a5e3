"""A worker's own view of a lease, by its monotonic clock."""

import time

from chaosfuzz.reference.settings import Settings


class Lease:
    """The lease of one claim; it counts from the sending, so it ends before the database's."""

    def __init__(self, settings: Settings, sent_at_s: float) -> None:
        self._length_s = settings.lease_ms / 1000
        self._until_s = sent_at_s + self._length_s
        self._lost = False
        # DEFECT complete-without-lease-check: the worker ignores the end of the lease.
        self._unchecked = settings.has("complete-without-lease-check")

    def extend(self, sent_at_s: float) -> None:
        """Record that the database has extended the lease; `sent_at_s` is monotonic."""
        self._until_s = sent_at_s + self._length_s

    def lose(self) -> None:
        """Record that the worker no longer holds the task."""
        self._lost = True

    def holds(self) -> bool:
        """Return whether the worker certainly still holds the task."""
        return self._unchecked or (not self._lost and time.monotonic() < self._until_s)

    def remaining_s(self) -> float:
        """Return the seconds until the lease ends by time, at least zero.

        `lose` does not change them. With the defect complete-without-lease-check it is always a
        whole lease.
        """
        if self._unchecked:
            return self._length_s
        return max(0.0, self._until_s - time.monotonic())
