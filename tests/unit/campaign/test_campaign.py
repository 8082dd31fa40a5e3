"""The campaign over test doubles: no target, no clock."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from chaosfuzz.actions import make_step
from chaosfuzz.campaign.events import CaseSaved, FailureFound, ScheduleDone
from chaosfuzz.campaign.failures import RUNS, Sighting, look_again
from chaosfuzz.campaign.fuzz import UNDECIDED_RERUNS, FuzzCampaign, FuzzPlan
from chaosfuzz.campaign.reduction import Reduction
from chaosfuzz.campaign.tally import MAX_EXCUSES, Tally
from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.cases import CaseStore
from chaosfuzz.domain.case import Rate
from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.domain.excuses import Excuse, ExcusedRun
from chaosfuzz.domain.fault import Journal
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.stop import Stopped, StopReason, StopSignal
from chaosfuzz.domain.target import Runner, RunResult
from chaosfuzz.domain.verdict import Failure, Signature, Verdict
from chaosfuzz.shrinking import Budget

LOST = Signature(invariant="no_lost_tasks", kind="LOST", role="server")
LONG = Schedule(
    workers=1,
    steps=(make_step("create_tasks"), make_step("kill_worker"), make_step("start_worker")),
)


def failed(schedule: Schedule) -> RunResult:
    failure = Failure(signature=LOST, message="task 1 is nowhere", tasks=(1,), step=None)
    return RunResult(schedule=schedule, verdict=Verdict.VIOLATED, failure=failure)


def sighted(schedule: Schedule) -> Sighting:
    return Sighting(result=failed(schedule), rate=Rate(violations=2, attempts=2))


def held(schedule: Schedule) -> RunResult:
    return RunResult(schedule=schedule, verdict=Verdict.HOLDS)


def undecided(schedule: Schedule) -> RunResult:
    return RunResult(schedule=schedule, verdict=Verdict.UNKNOWN, undecided=("asleep",))


@dataclass
class FakeRunner:
    """Answers by a function; breaks after so many runs if told to."""

    answer: Callable[[Schedule], RunResult]
    breaks_after: int | None = None
    error: Exception = InfrastructureError(cause="broken", remedy="run again")  # noqa: RUF009
    runs: int = 0
    closed: bool = False

    def run(self, schedule: Schedule) -> RunResult:
        if self.runs == self.breaks_after:
            raise self.error
        self.runs += 1
        return self.answer(schedule)

    def close(self) -> None:
        self.closed = True


class FakeJournal:
    def write(self, kind: str, **fields: str | int | float | bool | None) -> None:
        pass


@dataclass(frozen=True, kw_only=True)
class FakeSetup(Setup):
    runners: list[FakeRunner] = field(default_factory=list)

    def runner(self, lane: int, logs: Path, journal: Journal, stop: StopSignal) -> Runner:
        return self.runners[lane]


def reduction(directory: Path) -> Reduction:
    return Reduction(setup=Setup(), store=CaseStore(directory), budget=Budget())


def campaign(directory: Path, *runners: FakeRunner, examples: int = 3) -> FuzzCampaign:
    plan = FuzzPlan(
        setup=FakeSetup(runners=list(runners)),
        examples=examples,
        time_s=None,
        max_steps=5,
        lanes=len(runners),
        reduction=reduction(directory),
        out=directory,
    )
    return FuzzCampaign(plan, FakeJournal())


def test_all_examples_are_run_and_counted(tmp_path: Path) -> None:
    runners = FakeRunner(held), FakeRunner(held)
    tally = Tally(command="fuzz", target="reference", defects=(), seed=0)
    for event in campaign(tmp_path, *runners, examples=7).run():
        tally.observe(event)
    assert tally.schedules == sum(runner.runs for runner in runners) == 7
    assert tally.verdict == "holds"
    assert all(runner.closed for runner in runners)


def test_undecided_schedule_is_run_again_and_told(tmp_path: Path) -> None:
    runner = FakeRunner(undecided)
    tally = Tally(command="fuzz", target="reference", defects=(), seed=0)
    for event in campaign(tmp_path, runner, examples=1).run():
        tally.observe(event)
    assert runner.runs == 1 + UNDECIDED_RERUNS
    assert (tally.verdict, tally.undecided) == ("unknown", 1)
    assert tally.summary(1.0).message == "asleep"


def test_excused_runs_are_counted_and_the_first_are_told(tmp_path: Path) -> None:
    excuse = Excuse(words="worker-2 killed", why="unheard", component="worker-2")
    runs = tuple(
        ExcusedRun(task=number, component="worker-1", at_ns=0, excuse=excuse)
        for number in range(30)
    )
    tally = Tally(command="fuzz", target="reference", defects=(), seed=0)
    runner = FakeRunner(lambda schedule: replace(held(schedule), excused=runs))
    for event in campaign(tmp_path, runner, examples=2).run():
        tally.observe(event)
    summary = tally.summary(1.0)
    assert (summary.excused_runs, len(summary.excuses)) == (60, MAX_EXCUSES)
    assert summary.excuses[0] == (
        "task 0 ran again on worker-1: excused by worker-2 killed (unheard)"
    )


def test_nothing_run_is_not_a_pass() -> None:
    assert Tally(command="fuzz", target="reference", defects=(), seed=0).verdict == "unknown"


def test_error_of_the_harness_is_no_verdict(tmp_path: Path) -> None:
    tally = Tally(command="fuzz", target="reference", defects=(), seed=0)
    events = campaign(tmp_path, FakeRunner(held, breaks_after=1)).run()
    with pytest.raises(InfrastructureError, match="broken") as raised:
        list(events)
    assert tally.summary(1.0, raised.value).verdict is Verdict.INFRASTRUCTURE


def test_first_failure_ends_the_search_and_is_saved(tmp_path: Path) -> None:
    events = list(campaign(tmp_path, FakeRunner(failed), examples=50).run())
    assert sum(isinstance(event, ScheduleDone) for event in events) == 1
    assert sum(isinstance(event, FailureFound) for event in events) == 1
    saved = events[-1]
    assert isinstance(saved, CaseSaved)
    assert saved.path.exists()
    assert saved.case.reproduces.violations == saved.case.reproduces.attempts


def test_stop_ends_the_search(tmp_path: Path) -> None:
    running = campaign(tmp_path, FakeRunner(held), examples=10_000)
    done = 0
    for event in running.run():
        done += isinstance(event, ScheduleDone)
        running.stop()
    assert done <= 2


def saved_by(reduced: Iterator[object]) -> CaseSaved:
    for event in reduced:
        if isinstance(event, CaseSaved):
            return event
    raise AssertionError("nothing was saved")


@pytest.mark.parametrize("runs", [0, 1, 5])
def test_harness_that_breaks_while_shrinking_loses_nothing(tmp_path: Path, runs: int) -> None:
    runner = FakeRunner(failed, breaks_after=runs)
    events = reduction(tmp_path).reduce(runner, sighted(LONG))
    saved = saved_by(events)
    assert saved.path.exists()
    assert saved.exhausted
    assert saved.case.reproduces.violations >= 1
    with pytest.raises(InfrastructureError, match="broken"):
        next(events)


def test_interrupt_while_shrinking_saves_the_best_so_far(tmp_path: Path) -> None:
    runner = FakeRunner(failed, breaks_after=6, error=Stopped(StopReason.INTERRUPTED))
    saved = saved_by(reduction(tmp_path).reduce(runner, sighted(LONG)))
    assert len(saved.case.schedule.steps) < len(LONG.steps)
    assert saved.case.reproduces.violations >= 1


def test_reducing_a_case_again_keeps_where_it_came_from(tmp_path: Path) -> None:
    first = saved_by(reduction(tmp_path).reduce(FakeRunner(failed), sighted(LONG))).case
    again = Reduction(
        setup=Setup(), store=CaseStore(tmp_path), budget=Budget(), again=first
    ).reduce(FakeRunner(failed), sighted(first.schedule))
    assert saved_by(again).case.found.steps == len(LONG.steps)


def in_turn(*results: Callable[[Schedule], RunResult]) -> Callable[[Schedule], RunResult]:
    """Answer one after the other, the last one for ever."""
    left = list(results)

    def answer(schedule: Schedule) -> RunResult:
        return (left.pop(0) if len(left) > 1 else left[0])(schedule)

    return answer


def stuck(schedule: Schedule) -> RunResult:
    signature = Signature(invariant="eventual_completion", kind="STUCK", role="worker")
    failure = Failure(signature=signature, message="task 1 is stuck", tasks=(1,), step=None)
    return RunResult(schedule=schedule, verdict=Verdict.VIOLATED, failure=failure)


def test_failure_that_shows_again_is_taken_at_once() -> None:
    runner = FakeRunner(failed)
    sighting = look_again(runner, failed(LONG), StopSignal())
    assert (str(sighting.rate), sighting.rare, runner.runs) == ("2 of 2", False, 1)


def test_failure_that_shows_more_is_preferred_to_the_one_found() -> None:
    sighting = look_again(FakeRunner(stuck), failed(LONG), StopSignal())
    assert sighting.result.failure is not None
    assert sighting.result.failure.signature.kind == "STUCK"
    assert (str(sighting.rate), sighting.rare, sighting.others) == ("3 of 4", False, (LOST,))


def test_failure_that_shows_beside_another_counts_as_shown() -> None:
    def both(schedule: Schedule) -> RunResult:
        found, other = failed(schedule), stuck(schedule)
        assert found.failure is not None
        return replace(other, also=(found.failure,))

    runner = FakeRunner(both)
    sighting = look_again(runner, failed(LONG), StopSignal())
    assert sighting.result.failure is not None
    assert sighting.result.failure.signature == LOST
    assert (str(sighting.rate), runner.runs) == ("2 of 2", 1)


def test_what_one_look_shows_for_several_tasks_is_one_run() -> None:
    def several(schedule: Schedule) -> RunResult:
        first = stuck(schedule)
        assert first.failure is not None
        return replace(first, also=(replace(first.failure, tasks=(2,)),))

    runner = FakeRunner(several)
    sighting = look_again(runner, several(LONG), StopSignal())
    assert (str(sighting.rate), runner.runs) == ("2 of 2", 1)
    runner = FakeRunner(held)
    sighting = look_again(runner, several(LONG), StopSignal())
    assert (str(sighting.rate), sighting.rare) == (f"1 of {1 + RUNS}", True)


def test_failure_that_does_not_show_again_is_rare() -> None:
    sighting = look_again(FakeRunner(held), failed(LONG), StopSignal())
    assert (sighting.rare, sighting.rate) == (True, Rate(violations=1, attempts=1 + RUNS))


def test_rare_failure_is_saved_and_the_search_goes_on(tmp_path: Path) -> None:
    answers = in_turn(failed, *[held] * RUNS, held, stuck)
    tally = Tally(command="fuzz", target="reference", defects=(), seed=0)
    events = list(campaign(tmp_path, FakeRunner(answers), examples=50).run())
    for event in events:
        tally.observe(event)
    lost, stuck_too = tally.summary(1.0).failures
    assert (lost.signature, lost.violations, lost.attempts) == (LOST, 1, 1 + RUNS)
    assert stuck_too.violations == stuck_too.attempts > 1
    assert all(Path(failure.case or "").exists() for failure in (lost, stuck_too))


def test_rare_failure_is_shrunk_if_nothing_better_comes(tmp_path: Path) -> None:
    answers = in_turn(failed, *[held] * (RUNS + 2), failed)
    events = list(campaign(tmp_path, FakeRunner(answers), examples=2).run())
    saved = [event for event in events if isinstance(event, CaseSaved)]
    assert len(saved) == 2
    assert len(saved[1].case.schedule.steps) < len(saved[0].case.schedule.steps)
