from collections.abc import Sequence

import pytest

from chaosfuzz.domain.scenario import (
    Count,
    Criterion,
    Grade,
    Mark,
    Metrics,
    Recovery,
    Sample,
    ScenarioResult,
    ScenarioRun,
)
from chaosfuzz.domain.verdict import Failure, Signature
from chaosfuzz.scenarios import LEVELS, AwaitTasks, Pace, Program
from chaosfuzz.scenarios.criteria import criteria, grade

LOST = Failure(
    signature=Signature(invariant="no_lost_tasks", kind="LOST", role="server"),
    message="task 3 was accepted and is nowhere",
    tasks=(3,),
    step=None,
)


def program(
    completion: float = 0.9,
    *,
    may_be_late: bool = False,
    steady_memory: bool = False,
    at_most: float = 1.0,
) -> Program:
    return Program(
        workers=2,
        phases=(AwaitTasks(),),
        deadline_s=45.0,
        completion=completion,
        may_be_late=may_be_late,
        steady_memory=steady_memory,
        at_most=at_most,
    )


def judged(
    metrics: Metrics,
    wanted: Program | None = None,
    *,
    level: int = 1,
    failures: Sequence[Failure] = (),
    undecided: Sequence[str] = (),
    stalled: bool = False,
) -> tuple[Grade, str]:
    wanted = wanted or program()
    held = criteria(wanted, LEVELS[level], Pace(), metrics, 2.0)
    return grade(wanted, metrics, held, failures, undecided, stalled=stalled)


def tasks(completed: int, in_time: int, of: int = 10) -> Metrics:
    return Metrics(completed=Count(good=completed, of=of), in_time=Count(good=in_time, of=of))


@pytest.mark.parametrize(
    ("completed", "in_time", "may_be_late", "completion", "expected"),
    [
        (10, 10, False, 1.0, Grade.PASS),
        (10, 10, True, 1.0, Grade.PASS),
        (10, 9, True, 1.0, Grade.LATE),
        (9, 9, True, 1.0, Grade.FAIL),
        (10, 8, False, 0.9, Grade.FAIL),
        (9, 9, False, 0.9, Grade.PASS),
        (10, 9, False, 0.9, Grade.PASS),
        (8, 8, False, 0.9, Grade.FAIL),
        (6, 2, True, 0.6, Grade.LATE),
        (10, 2, True, 0.2, Grade.PASS),
        (1, 1, True, 0.2, Grade.FAIL),
    ],
)
def test_completion_by_the_deadline_decides(
    completed: int, in_time: int, may_be_late: bool, completion: float, expected: Grade
):
    wanted = program(completion, may_be_late=may_be_late)
    reached, why = judged(tasks(completed, in_time), wanted)
    assert reached is expected, why
    assert f" of 10 ({10 * (in_time if expected is Grade.FAIL else completed)}.0 %)" in why


@pytest.mark.parametrize(
    ("completed", "in_time", "expected"),
    [
        (10, 1, Grade.LATE),
        (10, 2, Grade.PASS),
        (10, 5, Grade.PASS),
        (10, 6, Grade.NOT_OVERLOADED),
        (10, 10, Grade.NOT_OVERLOADED),
        (1, 1, Grade.FAIL),
    ],
)
def test_an_overload_that_is_mostly_done_in_time_was_none(
    completed: int, in_time: int, expected: Grade
):
    wanted = program(0.2, may_be_late=True, at_most=0.5)
    reached, why = judged(tasks(completed, in_time), wanted, level=6)
    assert reached is expected, why
    if expected is Grade.NOT_OVERLOADED:
        share = f"{in_time} of 10 ({10 * in_time}.0 %)"
        assert why == f"overloaded at the deadline: {share} completed, expected at most 50 %"
        assert not reached.passed


def test_a_broken_promise_is_told_before_an_overload_that_was_none():
    wanted = program(0.2, may_be_late=True, at_most=0.5)
    assert judged(tasks(10, 10), wanted, level=6, failures=[LOST])[0] is Grade.FAIL


def test_an_overload_that_was_none_ends_a_run_as_undecided():
    result = ScenarioResult(
        name="task-flood", level=6, grade=Grade.NOT_OVERLOADED, why="", duration_s=1.0
    )
    run = ScenarioRun(
        level=6,
        level_name="catastrophic load",
        speed=1,
        seed=1,
        defects=(),
        planned=("task-flood",),
        results=(result,),
        duration_s=1.0,
    )
    assert (run.verdict, run.failed, run.passed.good) == ("unknown", 0, 0)


@pytest.mark.parametrize("level", [1, 6])
def test_a_broken_promise_fails_at_every_level_whatever_was_completed(level: int):
    reached, why = judged(tasks(10, 10), program(0.2), level=level, failures=[LOST])
    assert reached is Grade.FAIL
    assert why == "no_lost_tasks: task 3 was accepted and is nowhere"


def test_what_could_not_be_decided_is_no_pass():
    reached, why = judged(tasks(10, 10), undecided=["the machine stood still"])
    assert reached is Grade.UNKNOWN
    assert not reached.passed
    assert why == "the machine stood still"


@pytest.mark.parametrize(
    ("level", "good", "expected"),
    [
        (1, 95, Grade.PASS),
        (1, 94, Grade.FAIL),
        (3, 85, Grade.PASS),
        (3, 84, Grade.FAIL),
        (5, 80, Grade.PASS),
        (6, 79, Grade.FAIL),
    ],
)
def test_api_success_is_held_against_the_level(level: int, good: int, expected: Grade):
    metrics = Metrics(
        completed=Count(good=10, of=10),
        in_time=Count(good=10, of=10),
        api=Count(good=good, of=100),
    )
    reached, why = judged(metrics, level=level)
    assert reached is expected
    assert expected is Grade.PASS or f"{good} of 100 ({good}.0 %)" in why


def test_a_few_api_requests_prove_no_rate():
    metrics = Metrics(api=Count(good=9, of=10))
    marks = {c.name: c.mark for c in criteria(program(), LEVELS[1], Pace(), metrics, 2.0)}
    assert marks["API success"] is Mark.WARNING


def test_a_request_that_hangs_in_an_outage_fails():
    metrics = Metrics(outage=Count(good=9, of=10))
    assert judged(metrics)[0] is Grade.FAIL


def recovered(*seconds: float | None, what: str = "killed") -> Metrics:
    return Metrics(
        recoveries=tuple(Recovery(component="server-1", what=what, seconds=s) for s in seconds)
    )


@pytest.mark.parametrize(
    ("speed", "seconds", "mean", "worst"),
    [
        (1, (19.0, 20.9), Mark.MET, Mark.MET),
        (1, (20.0, 21.0), Mark.MISSED, Mark.MET),
        (1, (1.0, 31.0), Mark.MET, Mark.WARNING),
        (10, (1.9, 2.0), Mark.MET, Mark.MET),
        (10, (2.5, 2.0), Mark.MISSED, Mark.MET),
        (100, (1.9, 2.0), Mark.MET, Mark.MET),
    ],
)
def test_recovery_time_is_held_against_target_and_warning(
    speed: float, seconds: tuple[float, ...], mean: Mark, worst: Mark
):
    held = criteria(program(), LEVELS[1], Pace(speed=speed), recovered(*seconds), 2.0)
    marks = {c.name: c.mark for c in held}
    assert marks["mean recovery time"] is mean
    assert marks["worst recovery time"] is worst


def test_a_recovery_that_never_came_fails_and_says_whose():
    reached, why = judged(recovered(1.0, None))
    assert reached is Grade.FAIL
    assert "1 of 2 never: server-1 killed" in why


@pytest.mark.parametrize(("last", "expected"), [(2.9, Mark.MET), (3.1, Mark.MISSED)])
def test_recoveries_that_get_slower_fail(last: float, expected: Mark):
    held = criteria(program(), LEVELS[1], Pace(), recovered(1.0, 1.0, last), 2.0)
    (slower,) = (c for c in held if c.name.startswith("no slower"))
    assert slower.mark is expected


def sample(megabytes: int) -> Sample:
    return Sample(
        at_s=0.0,
        waiting=0,
        running=0,
        completed=0,
        failed=0,
        workers=2,
        memory_bytes=megabytes << 20,
        sessions=7,
        breakers="",
    )


@pytest.mark.parametrize(("most", "expected"), [(182, Mark.MET), (183, Mark.MISSED)])
def test_memory_must_stay_steady_where_that_is_asked(most: int, expected: Mark):
    metrics = Metrics(samples=(sample(100), sample(most)))
    held = criteria(program(steady_memory=True), LEVELS[1], Pace(), metrics, 2.0)
    assert [c.mark for c in held if c.name == "memory"] == [expected]
    unasked = criteria(program(), LEVELS[1], Pace(), metrics, 2.0)
    assert [c for c in unasked if c.name == "memory"] == []


def test_a_missed_criterion_is_told_before_what_is_undecided():
    missed = Criterion(name="API checks", measured="43 of 44", target="all", mark=Mark.MISSED)
    reached, why = grade(program(), Metrics(), [missed], [], ["undecided"])
    assert reached is Grade.FAIL
    assert why == "API checks: 43 of 44, expected all"


def test_lateness_proves_nothing_on_a_machine_that_stood_still():
    reached, why = judged(tasks(10, 8), stalled=True)
    assert reached is Grade.UNKNOWN
    assert why.startswith("the machine stood still; completed by the deadline: 8 of 10")
    assert judged(recovered(99.0), stalled=True)[0] is Grade.UNKNOWN


def test_what_was_never_completed_fails_on_any_machine():
    assert judged(tasks(8, 8), stalled=True)[0] is Grade.FAIL


def test_a_scenario_without_work_or_expectation_shows_nothing():
    api = Metrics(api=Count(good=40, of=40))
    reached, why = judged(api)
    assert (reached, "shows nothing" in why) == (Grade.UNKNOWN, True)
    recovered = Recovery(what="killed until ready", component="server-1", seconds=0.1)
    assert judged(Metrics(recoveries=(recovered,)))[0] is Grade.PASS
    assert judged(Metrics(created=2))[0] is Grade.PASS
