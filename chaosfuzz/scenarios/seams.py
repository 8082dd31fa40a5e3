"""What a scenario is run with, put together by whoever knows the other parts."""

from collections.abc import Callable
from dataclasses import dataclass

from chaosfuzz.domain.scenario import Count
from chaosfuzz.domain.target import Lane
from chaosfuzz.domain.task_counts import TaskCounts
from chaosfuzz.execution.loop import Parts

SHORTEST_TASK_MS = 50


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How much faster than the guide all times run."""

    speed: float = 1.0

    def seconds(self, guide_s: float) -> float:
        """Return what a time of the guide is here."""
        return guide_s / self.speed

    def task_ms(self, guide_s: float) -> int:
        """Return how long a task works: not at all, or long enough to be seen at it."""
        return max(SHORTEST_TASK_MS, round(1000 * guide_s / self.speed)) if guide_s else 0


@dataclass(frozen=True, kw_only=True)
class ApiCheck:
    """The checks of the API: how many succeeded, and what became of the others."""

    count: Count
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Seams(Parts):
    """The parts around a scenario. `show` is given a line of progress, `say` one to keep.

    `task_counts` asks as an administrator does, by the database's connection string and a tag.
    """

    lane: Lane
    check_api: Callable[[str], ApiCheck]
    task_counts: Callable[[str, str], TaskCounts]
    show: Callable[[str], None]
    say: Callable[[str], None]
