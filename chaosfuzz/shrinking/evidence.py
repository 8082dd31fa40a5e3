"""Passes and failures of each schedule, and how many passes reject a candidate."""

import math
from collections import Counter
from dataclasses import dataclass

from chaosfuzz.domain.case import Rate
from chaosfuzz.domain.schedule import Schedule

# The rate to assume when every run so far has failed, and the greatest. Both bounds are chosen by
# hand.
CERTAIN_RATE = 0.9
LOWEST_RATE = 0.01
# The rate is assumed to lie below an observed share by this part of it, divided by the square root
# of the number of failures, as a standard error is. Chosen by hand.
CAUTION = 0.55


class Evidence:
    """Counts passes and failures per schedule.

    A failure that shows at a step shows in every longer schedule, too. Therefore, with
    `shared_with_prefixes`, a pass counts for all prefixes of the schedule as well. For a failure
    that shows only at the end it does not.
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
        """Count a run that shows the failure being reduced."""
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
    """The failure rate to assume, from all measurements during reduction.

    Shorter schedules and a system that has run for longer may fail less often, so the newest
    measurement can lower the rate that all of them together give.
    """

    failures: int = 0
    runs: int = 0
    newest_share: float = 1.0

    def learn(self, rate: Rate) -> None:
        """Add a measurement over decided runs."""
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
    """Return the least n so that a failure at this rate passes n runs with probability <= beta."""
    if rate >= 1:
        return 1
    return max(1, math.ceil(math.log(beta) / math.log(1 - rate)))
