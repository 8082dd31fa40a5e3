"""Decides by exact tests whether a case fails as often as when it was saved.

`violated` cases. The saved count (10 of 10, say) and the runs of today are two samples. After each
run Fisher's exact test (one-sided; R. A. Fisher, "The logic of inductive inference", 1935) asks
how probable so few violations today are if both samples have one rate, whatever that rate is. The
case fails below ALPHA. Else it passes if each of at least 2 runs shows the violation, or if at
least 4 do and their share is at least half the saved rate. So one violation in 20 never passes.

Error of the test, computed exactly over all outcomes (tests/unit/cases/test_statistics.py): if the
rate has not changed, the probability that the saved count and one later test contradict each other
is at most 1.7e-6 at the worst rate for saved counts of up to 20 attempts (the looks after each run
included). For 51 cases that is at most 8.7e-5 a test run. A case saved at 10 of 10 whose rate has
fallen to 1 in 20 fails with 99.7 %, after 17 runs on average; one that never fails any more is
detected after 13. A saved count below 5 of 5 is too small for such a result within MOST_RUNS;
`can_fail` says so.

Only decided runs count: those that could show the violation. A run that another failure ended, or
whose moment never came, could not. The decided runs are independent and have one rate, so the error
is as computed above, however many runs are undecided. If other failures ended runs of the saved
count too, its rate is below that of decided runs, so that a false alarm is rarer still.

`holds` cases. They run until the old rate would have shown with POWER. The old rate is uncertain,
so it is averaged over its posterior (Beta(s + 1/2, m - s + 1/2), Jeffreys' prior).
"""

from functools import cache
from math import comb

from chaosfuzz.domain.case import Rate

ALPHA = 1e-6
POWER = 0.95
# Against a saved count of 5 of 5, no violation in 39 runs and one in 57 runs are below ALPHA. 60 is
# the next multiple of ten.
MOST_RUNS = 60
# The most runs if MOST_RUNS could not contradict the saved count. Chosen by hand.
MOST_RUNS_UNDECIDABLE = 20
# The runs of a `holds` case without a saved rate. Chosen by hand.
HOLDS_RUNS_UNMEASURED = 3
# A `violated` case passes with this many violations, if every run shows one, or if at least half
# the saved rate does. Chosen by hand.
QUICK, ENOUGH = 2, 4
# A larger saved sample is scaled down to this size, which weakens the test.
_MOST_ATTEMPTS = 200


def has_fallen(saved: Rate, today: Rate) -> bool:
    """Say whether the rate has fallen: Fisher's probability of today's count is below ALPHA."""
    return _fisher(*_bounded(saved), today.violations, today.attempts) < ALPHA


def is_as_saved(saved: Rate, today: Rate) -> bool:
    """Say whether the violations of today are enough to pass; ask `has_fallen` first.

    If the saved count has no violation, or there is none, one violation today is enough.
    """
    if not saved.violations:
        return today.violations > 0
    if today.violations == today.attempts:
        return today.violations >= QUICK
    half = 2 * today.violations * saved.attempts >= saved.violations * today.attempts
    return today.violations >= ENOUGH and half


def can_fail(saved: Rate, runs: int) -> bool:
    """Say whether `runs` runs without a violation would show that the rate has fallen."""
    return has_fallen(saved, Rate(violations=0, attempts=runs))


def runs_to_hold(saved: Rate, most: int = MOST_RUNS) -> int:
    """Return the number of runs that show a violation with POWER at the saved rate, or `most`."""
    if not saved.attempts:
        return min(HOLDS_RUNS_UNMEASURED, most)
    return next((n for n in range(1, most) if power(saved, n) >= POWER), most)


def power(saved: Rate, runs: int) -> float:
    """Return the probability of at least one violation in `runs` runs at the saved rate."""
    violations, attempts = _bounded(saved)
    none = 1.0
    for number in range(runs):
        none *= (attempts - violations + number + 0.5) / (attempts + number + 1)
    return 1 - none


@cache
def _fisher(saved: int, attempts: int, today: int, runs: int) -> float:
    """Return the probability of at most `today` violations in `runs` runs, if the rate is one.

    It is the lower tail of the hypergeometric distribution: `saved` of `attempts` is the other
    sample, and the sum of both counts is given.
    """
    total = saved + today
    fewer = range(max(0, total - attempts), today + 1)
    ways = sum(comb(runs, count) * comb(attempts, total - count) for count in fewer)
    return ways / comb(runs + attempts, total)


def _bounded(rate: Rate) -> tuple[int, int]:
    if rate.attempts <= _MOST_ATTEMPTS:
        return rate.violations, rate.attempts
    return rate.violations * _MOST_ATTEMPTS // rate.attempts, _MOST_ATTEMPTS
