import pytest

from chaosfuzz.actions import make_step
from chaosfuzz.domain.case import Rate
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.shrinking.evidence import CERTAIN_RATE, AssumedRate, Evidence, passes_needed

SCHEDULE = Schedule(
    workers=1, steps=(make_step("create_tasks"), make_step("kill_worker"), make_step("wait_idle"))
)


def rate(violations: int, attempts: int) -> Rate:
    return Rate(violations=violations, attempts=attempts)


@pytest.mark.parametrize(
    ("failure_rate", "beta", "needed"),
    [(1.0, 0.02, 1), (0.9, 0.2, 1), (0.9, 0.02, 2), (0.5, 0.2, 3), (0.5, 0.02, 6), (0.2, 0.02, 18)],
)
def test_passes_needed(failure_rate: float, beta: float, needed: int) -> None:
    assert passes_needed(failure_rate, beta) == needed
    assert failure_rate == 1 or (1 - failure_rate) ** needed <= beta


def test_passes_count_for_prefixes_when_failures_show_at_steps() -> None:
    evidence = Evidence(shared_with_prefixes=True)
    evidence.add_pass(SCHEDULE)
    evidence.add_pass(SCHEDULE.prefix(2))
    assert [evidence.passes(SCHEDULE.prefix(length)) for length in (1, 2, 3)] == [2, 2, 1]


def test_passes_stay_with_their_schedule_when_failures_show_at_the_end() -> None:
    evidence = Evidence(shared_with_prefixes=False)
    evidence.add_pass(SCHEDULE)
    assert evidence.passes(SCHEDULE.prefix(2)) == 0
    assert evidence.passes(SCHEDULE) == 1


def test_rate_is_over_decided_runs() -> None:
    evidence = Evidence(shared_with_prefixes=True)
    assert evidence.rate(SCHEDULE) == rate(0, 0)
    evidence.add_failure(SCHEDULE)
    evidence.add_pass(SCHEDULE)
    assert evidence.rate(SCHEDULE) == rate(1, 2)
    assert evidence.rate(SCHEDULE.prefix(1)) == rate(0, 1)


def test_certain_only_while_every_run_failed() -> None:
    assumed = AssumedRate()
    assumed.learn(rate(3, 3))
    assert assumed.value == CERTAIN_RATE
    assumed.learn(rate(3, 4))
    assert assumed.value < 6 / 7


def test_more_failures_allow_less_caution() -> None:
    few, many = AssumedRate(), AssumedRate()
    few.learn(rate(3, 6))
    many.learn(rate(30, 60))
    assert few.value < many.value < 0.5


def test_a_lower_newest_measurement_lowers_the_assumption() -> None:
    assumed = AssumedRate()
    assumed.learn(rate(10, 12))
    assumed.learn(rate(3, 15))
    assert assumed.value == pytest.approx(0.2)
