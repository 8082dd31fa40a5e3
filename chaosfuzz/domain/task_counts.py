"""How many tasks there are in each status."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TaskCounts:
    """Tasks by status; `other` is what no job system known here says."""

    pending: int = 0
    running: int = 0
    retrying: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    other: int = 0

    @classmethod
    def by_status(cls, numbers: Mapping[str, int]) -> "TaskCounts":
        """Return counts from numbers by status, in whatever case it is written."""
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
        """How many nothing more is to be done with."""
        return self.completed + self.failed + self.cancelled

    @property
    def unfinished(self) -> int:
        """How many have not ended."""
        return self.pending + self.running + self.retrying + self.other

    @property
    def total(self) -> int:
        """All of them."""
        return self.ended + self.unfinished

    def line(self) -> str:
        """Return the counts that are not nothing as one line."""
        named = {name: getattr(self, name) for name in self.__annotations__}
        parts = [f"{number} {name}" for name, number in named.items() if number]
        return ", ".join(parts) or "no tasks"
