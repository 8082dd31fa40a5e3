"""How many tasks there are in each status."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TaskCounts:
    """Numbers of tasks by status; `other` counts those of unknown statuses."""

    pending: int = 0
    running: int = 0
    retrying: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    other: int = 0

    @classmethod
    def by_status(cls, numbers: Mapping[str, int]) -> "TaskCounts":
        """Return counts from numbers by status, in lower or upper case."""
        known: Counter[str] = Counter()
        for status, number in numbers.items():
            name = status.lower()
            known[name if name in cls.__annotations__ else "other"] += number
        return cls(**known)

    @classmethod
    def of(cls, statuses: Iterable[str]) -> "TaskCounts":
        """Count the statuses of tasks."""
        return cls.by_status(Counter(statuses))

    @property
    def ended(self) -> int:
        """The number of tasks that are completed, failed or cancelled."""
        return self.completed + self.failed + self.cancelled

    @property
    def unfinished(self) -> int:
        """The number of all other tasks."""
        return self.pending + self.running + self.retrying + self.other

    @property
    def total(self) -> int:
        """The number of all tasks."""
        return self.ended + self.unfinished

    def line(self) -> str:
        """Return the counts above 0 as one line, or 'no tasks'."""
        named = {name: getattr(self, name) for name in self.__annotations__}
        parts = [f"{number} {name}" for name, number in named.items() if number]
        return ", ".join(parts) or "no tasks"
