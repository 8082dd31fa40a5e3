"""The parts that a scenario is run with; `campaign` supplies them."""

from collections.abc import Callable
from dataclasses import dataclass

from chaosfuzz.domain.scenario import Count
from chaosfuzz.domain.target import Lane
from chaosfuzz.domain.task_counts import TaskCounts
from chaosfuzz.execution.loop import Parts

# Long enough for an observation (8 ms apart) to see a task running. Chosen by hand.
SHORTEST_TASK_MS = 50


@dataclass(frozen=True, kw_only=True)
class Pace:
    """The speed of a scenario: the chaos guide's times are divided by it, except as follows.

    A task with a length lasts at least 50 ms. Leases, recovery bounds and tasks that outlast a
    lease keep their times.
    """

    speed: float = 1.0

    def seconds(self, guide_s: float) -> float:
        """Return the seconds at this speed of a time of the guide."""
        return guide_s / self.speed

    def task_ms(self, guide_s: float) -> int:
        """Return the length of a task in ms at this speed: 0 for 0, else at least 50."""
        return max(SHORTEST_TASK_MS, round(1000 * guide_s / self.speed)) if guide_s else 0


@dataclass(frozen=True, kw_only=True)
class ApiCheck:
    """The result of the API checks: how many passed, and a line for each that did not."""

    count: Count
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ScenarioParts(Parts):
    """The parts around a scenario.

    `show` takes a line of progress that the next one replaces, `say` a line of the log.
    `check_api` takes the base URL of a server. `task_counts` takes the database's connection
    string and a tag, and counts the tasks as an administrator's command does.
    """

    lane: Lane
    check_api: Callable[[str], ApiCheck]
    task_counts: Callable[[str, str], TaskCounts]
    show: Callable[[str], None]
    say: Callable[[str], None]
