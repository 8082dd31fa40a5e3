"""The reducer against runners that are plain functions: no clock, no target."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from chaosfuzz.actions import make_step
from chaosfuzz.domain.case import Rate
from chaosfuzz.domain.schedule import Schedule, Step
from chaosfuzz.domain.stop import Stopped, StopReason
from chaosfuzz.domain.target import RunResult
from chaosfuzz.domain.verdict import Failure, Kind, Signature, Verdict
from chaosfuzz.shrinking import Budget, Reducer, ShrinkProgress

LOST = Signature(invariant="no_lost_tasks", kind=Kind.LOST, role="server")
OTHER = Signature(invariant="no_overlap", kind=Kind.OVERLAP, role="worker")
CREATE = make_step("create_tasks", count=3, duration_ms=400)
KILL = make_step("kill_worker", worker=1)
START = make_step("start_worker", worker=1)
WAIT = make_step("wait", ms=20)
LONG = Schedule(workers=2, steps=(WAIT, CREATE, WAIT, WAIT, KILL, START, WAIT, WAIT, CREATE))
MINIMUM = Schedule(workers=1, steps=(make_step("create_tasks", count=1), KILL))
AMPLE = Budget(executions=1000, time_s=1000)


def failing(schedule: Schedule, signature: Signature = LOST, step: int | None = None) -> RunResult:
    failure = Failure(signature=signature, message="it broke", tasks=(1,), step=step)
    return RunResult(schedule=schedule, verdict=Verdict.VIOLATED, failure=failure)


def passing(schedule: Schedule) -> RunResult:
    return RunResult(schedule=schedule, verdict=Verdict.HOLDS)


def failing_step(schedule: Schedule) -> int | None:
    """Return the first kill of a worker after a creation."""
    created = False
    for index, step in enumerate(schedule.steps):
        created |= step.action == "create_tasks"
        if created and step.action == "kill_worker":
            return index
    return None


class Runner:
    """Counts its runs and fails where `failing_step` says; `luck` may change a result."""

    def __init__(self, luck: Callable[[int, RunResult], RunResult | None] | None = None) -> None:
        self.ran: list[Schedule] = []
        self._luck = luck or (lambda _run, _result: None)

    def __call__(self, schedule: Schedule) -> RunResult:
        self.ran.append(schedule)
        step = failing_step(schedule)
        result = passing(schedule) if step is None else failing(schedule, step=step)
        return self._luck(len(self.ran), result) or result


def found(schedule: Schedule = LONG) -> Failure:
    failure = failing(schedule, step=failing_step(schedule)).failure
    assert failure is not None
    return failure


def test_reaches_the_minimum() -> None:
    runner = Runner()
    shrunk = Reducer(runner, AMPLE).shrink(LONG, found())
    assert shrunk.schedule == MINIMUM
    assert shrunk.executions + shrunk.confirmations == len(runner.ran)
    assert shrunk.executions <= 21
    assert not shrunk.exhausted
    assert shrunk.calibration == Rate(violations=3, attempts=3)
    assert shrunk.rate == Rate(violations=10, attempts=10)


def test_starts_with_what_was_run_up_to_the_failure() -> None:
    runner = Runner()
    Reducer(runner, AMPLE).shrink(LONG, found())
    assert runner.ran[0] == LONG.prefix(5)


def test_long_durations_go_first() -> None:
    runner = Runner()
    Reducer(runner, AMPLE).shrink(LONG, found())
    assert all(step["duration_ms"] == 0 for s in runner.ran[3:] for step in creations(s))


def creations(schedule: Schedule) -> list[Step]:
    return [step for step in schedule.steps if step.action == "create_tasks"]


def test_needed_tells_the_rate_without_each_step() -> None:
    shrunk = Reducer(Runner(), AMPLE).shrink(LONG, found())
    assert [n.step for n in shrunk.needed] == [1, 2]
    assert all(n.rate.violations == 0 for n in shrunk.needed)
    assert all(n.rate.attempts >= 2 for n in shrunk.needed)


def test_without_work_a_moment_never_comes_and_the_step_is_needed() -> None:
    def missed(_run: int, result: RunResult) -> RunResult | None:
        has_work = any(step.action == "create_tasks" for step in result.schedule.steps)
        return None if has_work else replace(result, missed=(0,))

    shrunk = Reducer(Runner(missed), AMPLE).shrink(MINIMUM, found(MINIMUM))
    assert [n.rate.attempts >= 2 for n in shrunk.needed] == [True, True]


@pytest.mark.parametrize("seed", range(10))
def test_flaky_failure_has_its_rate(seed: int) -> None:
    dice = random.Random(seed)

    def half(_run: int, result: RunResult) -> RunResult | None:
        return passing(result.schedule) if dice.random() < 0.5 else None

    shrunk = Reducer(Runner(half), AMPLE).shrink(LONG, found())
    assert failing_step(shrunk.schedule) is not None
    assert 0 < shrunk.rate.violations < shrunk.rate.attempts <= 20
    assert all(n.rate.attempts >= 4 for n in shrunk.needed)


def test_failure_that_never_shows_again() -> None:
    shrunk = Reducer(passing, AMPLE).shrink(LONG, found())
    assert shrunk.rate == shrunk.calibration == Rate(violations=0, attempts=40)
    assert shrunk.schedule == LONG.prefix(5)
    assert shrunk.needed == ()
    assert not shrunk.exhausted


def test_failure_that_stops_showing_is_not_called_certain() -> None:
    def fades(run: int, result: RunResult) -> RunResult | None:
        return passing(result.schedule) if run > 8 else None

    shrunk = Reducer(Runner(fades), AMPLE).shrink(LONG, found())
    assert shrunk.rate.violations == 0
    assert shrunk.rate.attempts >= 10
    assert shrunk.schedule == LONG.prefix(5)


def test_lucky_failure_is_taken_back() -> None:
    """A schedule that failed by accident gives way to the last one that does fail."""

    def lucky(run: int, result: RunResult) -> RunResult | None:
        alone = len(result.schedule.steps) == 1 and result.failure is None
        return failing(result.schedule, step=0) if alone and run < 12 else None

    runner = Runner(lucky)
    shrunk = Reducer(runner, AMPLE).shrink(LONG, found())
    assert any(len(s.steps) == 1 for s in runner.ran)
    assert failing_step(shrunk.schedule) is not None
    assert shrunk.schedule == MINIMUM
    assert shrunk.rate == Rate(violations=10, attempts=10)


def test_other_failures_are_set_aside() -> None:
    def other(run: int, result: RunResult) -> RunResult | None:
        return failing(result.schedule, OTHER, step=0) if run % 5 == 0 else None

    shrunk = Reducer(Runner(other), AMPLE).shrink(LONG, found())
    assert shrunk.schedule == MINIMUM
    assert shrunk.failure.signature == LOST
    assert [signature for signature, _ in shrunk.others] == [OTHER]
    assert shrunk.rate.violations < shrunk.rate.attempts


def test_undecided_runs_are_no_passes() -> None:
    def undecided(run: int, result: RunResult) -> RunResult | None:
        unknown = RunResult(schedule=result.schedule, verdict=Verdict.UNKNOWN)
        return unknown if run % 3 == 0 else None

    assert Reducer(Runner(undecided), AMPLE).shrink(LONG, found()).schedule == MINIMUM


@pytest.mark.parametrize("executions", range(1, 40))
def test_spent_budget_gives_the_best_so_far(executions: int) -> None:
    runner = Runner()
    budget = Budget(executions=executions, time_s=1000)
    shrunk = Reducer(runner, budget).shrink(LONG, found())
    assert len(runner.ran) <= executions
    assert failing_step(shrunk.schedule) is not None
    assert shrunk.executions + shrunk.confirmations == len(runner.ran)
    assert shrunk.rate.violations == shrunk.rate.attempts > 0
    assert shrunk.exhausted or shrunk.schedule == MINIMUM


def test_no_budget_runs_nothing() -> None:
    runner = Runner()
    shrunk = Reducer(runner, Budget(executions=0, time_s=0)).shrink(LONG, found())
    assert runner.ran == []
    assert shrunk.exhausted
    assert shrunk.rate == Rate(violations=0, attempts=0)


def test_spent_time_keeps_some_back_to_measure() -> None:
    runner = Runner()
    budget = Budget(executions=1000, time_s=10)
    reducer = Reducer(runner, budget, clock=lambda: float(len(runner.ran)))
    shrunk = reducer.shrink(LONG, found())
    assert shrunk.exhausted
    assert (shrunk.executions, shrunk.confirmations) == (6, 5)
    assert shrunk.rate.violations >= 2


@pytest.mark.parametrize("run_s", [8, 12, 16, 20, 25])
def test_slow_runs_keep_time_to_measure_and_to_see_what_is_needed(run_s: int) -> None:
    runner = Runner()
    budget = Budget(executions=1000, time_s=300)
    reducer = Reducer(runner, budget, clock=lambda: float(run_s * len(runner.ran)))
    shrunk = reducer.shrink(MINIMUM, found(MINIMUM))
    assert shrunk.rate.violations == shrunk.rate.attempts >= 4
    assert [needed.step for needed in shrunk.needed] == [1, 2]
    assert len(runner.ran) <= 1 + 300 / run_s


def test_what_is_shorter_still_is_kept_though_the_time_is_nearly_up() -> None:
    runner = Runner()
    budget = Budget(executions=1000, time_s=300)
    reducer = Reducer(runner, budget, clock=lambda: 20.0 * len(runner.ran))
    shrunk = reducer.shrink(LONG, found())
    assert shrunk.exhausted
    assert len(shrunk.schedule.steps) == 3
    assert shrunk.rate == Rate(violations=4, attempts=4)


@pytest.mark.parametrize("stop_at", [1, 3, 4, 8, 15, 25])
def test_interrupt_keeps_the_best_so_far(stop_at: int) -> None:
    best: list[int] = []

    def interrupt(run: int, _result: RunResult) -> RunResult | None:
        if run == stop_at:
            raise Stopped(StopReason.INTERRUPTED)
        return None

    runner = Runner(interrupt)
    reducer = Reducer(runner, AMPLE, on_progress=lambda progress: best.append(progress.steps))
    shrunk = reducer.shrink(LONG, found())
    assert shrunk.exhausted
    assert len(runner.ran) == stop_at
    assert len(shrunk.schedule.steps) <= best[-1]
    assert failing_step(shrunk.schedule) is not None


def test_what_the_runner_raises_passes_through() -> None:
    def broken(_schedule: Schedule) -> RunResult:
        raise ValueError("disk full")

    with pytest.raises(ValueError, match="disk full"):
        Reducer(broken, AMPLE).shrink(LONG, found())


def test_failure_at_the_end_is_not_cut_off() -> None:
    """A failure seen only after settling says nothing of prefixes."""

    def at_end(schedule: Schedule) -> RunResult:
        broken = failing_step(schedule) is not None and schedule.steps[-1].action != "start_worker"
        return failing(schedule) if broken else passing(schedule)

    shrunk = Reducer(at_end, AMPLE).shrink(LONG, Failure(**vars(found()) | {"step": None}))
    assert shrunk.schedule == MINIMUM
    assert shrunk.failure.step is None


def test_progress_counts_every_execution() -> None:
    told: list[ShrinkProgress] = []
    shrunk = Reducer(Runner(), AMPLE, on_progress=told.append).shrink(LONG, found())
    assert [p.executions for p in told] == list(range(1, len(told) + 1))
    assert len(told) == shrunk.executions + shrunk.confirmations
    assert told[-1].steps == 2
    assert [p.taken_s for p in told] == sorted(p.taken_s for p in told)


def test_progress_says_when_it_is_only_measured_how_often_the_result_fails() -> None:
    told: list[ShrinkProgress] = []
    shrunk = Reducer(Runner(), AMPLE, on_progress=told.append).shrink(LONG, found())
    assert [p.measuring for p in told[: shrunk.executions]] == [False] * shrunk.executions
    assert [p.measuring for p in told[shrunk.executions :]] == [True] * shrunk.confirmations
    assert shrunk.confirmations
