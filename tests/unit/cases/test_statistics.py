"""The error rates of the judgement on saved cases, computed over all outcomes."""

from functools import cache
from itertools import permutations
from math import comb

import pytest

from chaosfuzz.cases.statistics import (
    MOST_RUNS,
    POWER,
    can_fail,
    has_fallen,
    is_as_saved,
    power,
    runs_to_hold,
)
from chaosfuzz.domain.case import Rate

CASES = 51
RATES = [step / 50 for step in range(1, 50)]


def of(violations: int, attempts: int) -> Rate:
    return Rate(violations=violations, attempts=attempts)


@cache
def state(saved: Rate, violations: int, attempts: int) -> str:
    today = of(violations, attempts)
    if has_fallen(saved, today):
        return "fell"
    return "passed" if is_as_saved(saved, today) else ""


def outcomes(saved: Rate, rate: float) -> dict[str, float]:
    """Probability of each end, and the expected number of runs, at a true rate."""
    ends = {"passed": 0.0, "fell": 0.0, "runs": 0.0}
    open_ = {0: 1.0}
    for number in range(1, MOST_RUNS + 1):
        ends["runs"] += sum(open_.values())
        reached: dict[int, float] = {}
        for count, chance in open_.items():
            reached[count + 1] = reached.get(count + 1, 0) + chance * rate
            reached[count] = reached.get(count, 0) + chance * (1 - rate)
        open_ = {}
        for count, chance in reached.items():
            end = state(saved, count, number)
            if end:
                ends[end] += chance
            else:
                open_[count] = chance
    return ends


def contradiction(attempts: int, rate: float) -> float:
    """Probability that a saved count and a later test of the same rate contradict each other."""
    return sum(
        comb(attempts, saved)
        * rate**saved
        * (1 - rate) ** (attempts - saved)
        * outcomes(of(saved, attempts), rate)["fell"]
        for saved in range(attempts + 1)
    )


@pytest.mark.parametrize("attempts", [3, 5, 10, 20])
def test_a_rate_that_has_not_changed_fails_in_one_of_half_a_million_tests(attempts: int):
    worst = max(contradiction(attempts, rate) for rate in RATES)
    assert worst < 1.7e-6
    assert CASES * worst < 1e-4


def test_ten_of_ten_that_now_shows_once_in_twenty_fails_in_any_order():
    saved = of(10, 10)
    for order in set(permutations([1] + [0] * 6)):
        # The violation is among the first seven runs; later ones come after the case has failed
        # or change nothing, as the state depends on the counts alone.
        runs = [*order, *[0] * 13]
        ends = [state(saved, sum(runs[:n]), n) for n in range(1, 21)]
        assert next(end for end in ends if end) == "fell"


def test_a_fall_to_one_in_twenty_is_detected():
    ends = outcomes(of(10, 10), 0.05)
    assert ends["fell"] > 0.997
    assert 16 < ends["runs"] < 18
    assert next(n for n in range(1, MOST_RUNS) if can_fail(of(10, 10), n)) == 13


@pytest.mark.parametrize("saved", [of(10, 10), of(5, 5), of(9, 10), of(10, 12), of(15, 15)])
def test_a_steady_case_passes_after_few_runs(saved: Rate):
    ends = outcomes(saved, saved.violations / saved.attempts)
    assert ends["passed"] > 0.9999
    assert ends["runs"] < (2.001 if saved.violations == saved.attempts else 3.5)


def test_a_small_saved_sample_is_not_contradicted():
    assert not can_fail(of(3, 3), MOST_RUNS)
    assert not can_fail(of(0, 10), MOST_RUNS)
    assert can_fail(of(5, 5), MOST_RUNS)


def test_a_case_without_a_saved_violation_passes_with_the_first():
    for saved in (of(0, 0), of(0, 10)):
        assert is_as_saved(saved, of(1, 9))
        assert not is_as_saved(saved, of(0, 9))
        assert not has_fallen(saved, of(0, MOST_RUNS))


@pytest.mark.parametrize(
    ("saved", "runs"), [(of(10, 10), 1), (of(3, 3), 2), (of(9, 10), 2), (of(5, 10), 6)]
)
def test_a_case_that_is_to_hold_runs_until_the_old_rate_would_have_shown(saved: Rate, runs: int):
    assert runs_to_hold(saved) == runs
    assert power(saved, runs) >= POWER > power(saved, runs - 1)


def test_the_bound_on_runs_cuts_the_power_of_a_rare_failure():
    assert runs_to_hold(of(1, 20)) == MOST_RUNS
    assert power(of(1, 20), MOST_RUNS) < POWER
    assert runs_to_hold(of(1, 20), most=5) == 5


def test_a_huge_saved_sample_is_judged_as_a_smaller_one_of_the_same_rate():
    huge = of(9 * 10**29, 10**30)
    assert power(huge, 2) == power(of(180, 200), 2)
    assert can_fail(huge, 20)
