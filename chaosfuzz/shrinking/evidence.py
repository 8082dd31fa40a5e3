"""What has been seen of each candidate, and when that is enough to give it up."""

import math
from collections import Counter

from chaosfuzz.domain.schedule import Schedule


class Evidence:
    """Passes per canonical schedule.

    A failure that shows at a step would have shown in a longer schedule too, so a pass counts
    for all prefixes as well; one that shows only at the end says nothing of prefixes.
    """

    def __init__(self, *, shared_with_prefixes: bool) -> None:
        self._shared = shared_with_prefixes
        self._passes: Counter[Schedule] = Counter()

    def add_pass(self, schedule: Schedule) -> None:
        """Count a pass."""
        lengths = range(1, len(schedule.steps) + 1) if self._shared else (len(schedule.steps),)
        for length in lengths:
            self._passes[schedule.prefix(length)] += 1

    def passes(self, schedule: Schedule) -> int:
        """Return how often the schedule passed."""
        return self._passes[schedule]


def passes_needed(rate: float, beta: float) -> int:
    """Return how many passes make a failure at this rate less likely than beta."""
    if rate >= 1:
        return 1
    return max(1, math.ceil(math.log(beta) / math.log(1 - rate)))
