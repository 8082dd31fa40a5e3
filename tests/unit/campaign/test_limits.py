"""Documented limits through a campaign: saved with their source, and no failure."""

from dataclasses import replace
from pathlib import Path

from unit.campaign.test_campaign import FakeJournal, FakeRunner, FakeSetup

from chaosfuzz.campaign.events import CaseSaved, DocumentedLimitKnown, FailureFound
from chaosfuzz.campaign.failures import DocumentedLimitAsFailure, as_failure
from chaosfuzz.campaign.fuzz import FuzzCampaign, FuzzPlan
from chaosfuzz.campaign.reduction import Reduction
from chaosfuzz.campaign.tally import Tally
from chaosfuzz.cases import CaseStore
from chaosfuzz.domain.case import Rate
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.target import RunResult
from chaosfuzz.domain.verdict import Failure, Signature, Verdict
from chaosfuzz.shrinking import Budget

STUCK = Signature(invariant="eventual_completion", kind="STUCK", role="worker")
LIMIT = Failure(
    signature=STUCK, message="task 1 is stuck", tasks=(1,), step=None, documented="docs"
)

# Enough that a worker is killed in some.
EXAMPLES = 60


def limited(schedule: Schedule) -> RunResult:
    kills = any(step.action == "kill_worker" for step in schedule.steps)
    return RunResult(schedule=schedule, verdict=Verdict.HOLDS, limits=(LIMIT,) if kills else ())


def campaign(directory: Path, tally: Tally) -> list[object]:
    setup = FakeSetup(target="simulated", seed=1, runners=[FakeRunner(limited)])
    plan = FuzzPlan(
        setup=setup,
        examples=EXAMPLES,
        time_s=None,
        max_steps=12,
        lanes=1,
        reduction=Reduction(setup=setup, store=CaseStore(directory / "cases"), budget=Budget()),
        out=directory,
    )
    events = []
    for event in FuzzCampaign(plan, FakeJournal()).run():
        tally.observe(event)
        events.append(event)
    return events


def tally(*, limits_fail: bool = False) -> Tally:
    return Tally(command="fuzz", target="simulated", defects=(), seed=1, limits_fail=limits_fail)


def test_a_limit_is_shrunk_saved_once_and_breaks_nothing(tmp_path: Path):
    first = tally()
    events = campaign(tmp_path, first)
    (found,) = (event for event in events if isinstance(event, FailureFound))
    (saved,) = (event for event in events if isinstance(event, CaseSaved))
    assert found.failure.documented == saved.case.documented == "docs"
    assert [step.action for step in saved.case.schedule.steps] == ["kill_worker"]
    assert saved.case.expect == "violated"
    assert first.schedules == EXAMPLES, "the search goes on"
    assert (first.verdict, first.summary(1.0).failures) == ("holds", ())
    assert [limit.signature for limit in first.summary(1.0).limits] == [STUCK]

    again = tally()
    (known,) = (e for e in campaign(tmp_path, again) if isinstance(e, DocumentedLimitKnown))
    assert (known.path, known.case) == (saved.path, saved.case)
    assert again.verdict == "holds"
    assert [limit.case for limit in again.summary(1.0).limits] == [str(saved.path)]


def test_limits_fail_if_they_are_to(tmp_path: Path):
    strict = tally(limits_fail=True)
    campaign(tmp_path, strict)
    assert strict.verdict == "violated"
    again = tally(limits_fail=True)
    campaign(tmp_path, again)
    assert again.verdict == "violated", "known ones too"


def test_a_limit_does_not_hide_a_promise_broken_in_the_same_way():
    schedule = Schedule(workers=1, steps=())
    broken = Failure(signature=STUCK, message="m", tasks=(), step=None)
    both = tally()
    for failure in (broken, LIMIT):
        both.observe(
            FailureFound(failure=failure, schedule=schedule, rate=Rate(violations=2, attempts=2))
        )
    assert both.verdict == "violated"
    summary = both.summary(1.0)
    assert len(summary.failures) == len(summary.limits) == 1


def test_a_promise_broken_in_the_way_of_a_limit_does_not_show_the_limit():
    broken = Failure(signature=STUCK, message="m", tasks=(), step=None)

    def breaks(schedule: Schedule) -> RunResult:
        return RunResult(schedule=schedule, verdict=Verdict.VIOLATED, failure=broken)

    result = DocumentedLimitAsFailure(FakeRunner(breaks), STUCK).run(Schedule(workers=1, steps=()))
    assert (result.failure, result.verdict) == (None, Verdict.UNKNOWN)


def test_what_is_admitted_in_other_words_is_another_limit():
    other = replace(LIMIT, documented="another page")

    def shows(schedule: Schedule) -> RunResult:
        return RunResult(schedule=schedule, verdict=Verdict.HOLDS, failure=None, limits=(other,))

    nothing = Schedule(workers=1, steps=())
    runner = FakeRunner(shows)
    assert DocumentedLimitAsFailure(runner, STUCK, "docs").run(nothing).failure is None
    assert DocumentedLimitAsFailure(runner, STUCK, "another page").run(nothing).failure == other
    assert DocumentedLimitAsFailure(runner, STUCK).run(nothing).failure == other


def test_a_broken_promise_goes_before_a_limit():
    lost = Signature(invariant="no_lost_tasks", kind="LOST", role="server")
    failure = Failure(signature=lost, message="m", tasks=(), step=0)
    schedule = Schedule(workers=1, steps=())
    result = RunResult(
        schedule=schedule, verdict=Verdict.VIOLATED, failure=failure, limits=(LIMIT,)
    )
    assert as_failure(result, STUCK).failure is failure
