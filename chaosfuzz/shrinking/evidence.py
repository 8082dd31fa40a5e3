"""What has been seen of each schedule, and when that is enough to give a candidate up."""

import math
from collections import Counter
from dataclasses import dataclass

from chaosfuzz.domain.case import Rate
from chaosfuzz.domain.schedule import Schedule

# The least rate assumed when every run so far has failed.
CERTAIN_RATE = 0.9
LOWEST_RATE = 0.01
# How far below an observed share the rate may lie, for a share of one failure; it narrows with
# the square root of the failures, as a standard error does.
CAUTION = 0.55


class Evidence:
    """Passes and failures per canonical schedule.

    A failure that shows at a step would have shown in a longer schedule too, so with
    `shared_with_prefixes` a pass counts for all prefixes as well; one that shows only at the
    end says nothing of prefixes.
    """

    def __init__(self, *, shared_with_prefixes: bool) -> None:
        self._shared = shared_with_prefixes
        self._passes: Counter[Schedule] = Counter()
        self._failures: Counter[Schedule] = Counter()

    def add_pass(self, schedule: Schedule) -> None:
        """Count a pass."""
        lengths = range(1, len(schedule.steps) + 1) if self._shared else (len(schedule.steps),)
        for length in lengths:
            self._passes[schedule.prefix(length)] += 1

    def add_failure(self, schedule: Schedule) -> None:
        """Count a failure of the signature that is being reduced."""
        self._failures[schedule] += 1

    def passes(self, schedule: Schedule) -> int:
        """Return how often the schedule passed."""
        return self._passes[schedule]

    def rate(self, schedule: Schedule) -> Rate:
        """Return the failures among all decided runs of the schedule."""
        failures = self._failures[schedule]
        return Rate(violations=failures, attempts=failures + self._passes[schedule])


@dataclass(kw_only=True)
class AssumedRate:
    """The failure rate to reckon with, from measurements made in the course of reduction.

    The rate of the schedule in hand may differ from the first one's, because it is shorter or
    because the system warms up or tires; so the newest measurement can lower the assumption that
    all of them together give.
    """

    failures: int = 0
    runs: int = 0
    newest_share: float = 1.0

    def learn(self, rate: Rate) -> None:
        """Take in a measurement over decided runs."""
        self.failures += rate.violations
        self.runs += rate.attempts
        self.newest_share = share(rate)

    @property
    def value(self) -> float:
        """Return a rate that the true one is probably not below."""
        if self.failures == self.runs:
            return CERTAIN_RATE
        pooled = self.failures / self.runs * (1 - CAUTION / math.sqrt(max(1, self.failures)))
        return max(LOWEST_RATE, min(pooled, self.newest_share, CERTAIN_RATE))


def share(rate: Rate) -> float:
    """Return violations as a share of the attempts, 0 if there were none."""
    return rate.violations / max(1, rate.attempts)


def passes_needed(rate: float, beta: float) -> int:
    """Return how many passes a failure at this rate would survive with probability beta at most."""
    if rate >= 1:
        return 1
    return max(1, math.ceil(math.log(beta) / math.log(1 - rate)))
