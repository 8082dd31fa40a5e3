from chaosfuzz.actions import make_step, strand_session
from chaosfuzz.domain.moment import Alphabet, EventClass, Moment, Side
from chaosfuzz.domain.schedule import Schedule, Step
from chaosfuzz.domain.target import RunResult
from chaosfuzz.domain.verdict import Failure, Signature, Verdict
from chaosfuzz.shrinking import Budget, Reducer
from chaosfuzz.shrinking.candidates import earlier, pinnings, unpinned

AMPLE = Budget(executions=500, time_s=60)
SIGNATURE = Signature(invariant="eventual_completion", kind="STUCK", role="worker")
FAILURE = Failure(signature=SIGNATURE, message="stuck", tasks=(1,), step=None)
CREATE = make_step("create_tasks", count=1)
KILL = make_step("kill_worker", worker=1)
DONE = EventClass(role="worker", event="UPDATE done")
POLL = EventClass(role="worker", event="SELECT poll", background=True)
ALPHABET = Alphabet(events=(POLL, DONE))


def at(event: str = "UPDATE done", nth: int = 1, side: Side = Side.AFTER) -> Moment:
    return Moment(event=event, nth=nth, side=side)


def plan(*steps: Step) -> Schedule:
    return Schedule(workers=1, steps=steps)


class FakeRunner:
    """Fails by a function of the schedule and of how many runs there were before."""

    def __init__(self, fails: "object") -> None:
        self.fails = fails
        self.runs = 0

    def __call__(self, schedule: Schedule) -> RunResult:
        self.runs += 1
        if self.fails(schedule, self.runs):  # type: ignore[operator]
            return RunResult(schedule=schedule, verdict=Verdict.VIOLATED, failure=FAILURE)
        return RunResult(schedule=schedule, verdict=Verdict.HOLDS)


def struck(schedule: Schedule) -> Step | None:
    created = any(step.action == "create_tasks" for step in schedule.steps)
    kills = [step for step in schedule.steps if step.action == "kill_worker"]
    return kills[0] if created and kills else None


def test_earlier_is_first_the_first_then_the_one_before_then_the_other_side():
    schedule = plan(CREATE, KILL.pinned(at(nth=4)))
    moments = [candidate.steps[1].at for candidate in earlier(schedule, 1)]
    assert moments == [at(nth=1), at(nth=3), at(nth=4, side=Side.BEFORE)]


def test_any_task_will_do_if_it_can():
    schedule = plan(CREATE, KILL.pinned(Moment(event="UPDATE done", task=1)))
    assert [c.steps[1].at for c in earlier(schedule, 1)] == [at(side=Side.BEFORE)]


def test_nothing_is_earlier_than_before_the_first():
    schedule = plan(CREATE, KILL.pinned(at(side=Side.BEFORE)))
    assert list(earlier(schedule, 1)) == []


def test_what_strikes_on_one_side_stays_there():
    lose = make_step("lose_reply").pinned(Moment(event="POST /tasks", nth=2, side=Side.AFTER))
    moments = [candidate.steps[1].at for candidate in earlier(plan(CREATE, lose), 1)]
    assert moments == [Moment(event="POST /tasks", side=Side.AFTER)]


def test_what_needs_a_moment_keeps_it():
    strand = Step(kind=strand_session, arguments=(("worker", 1),), at=at())
    assert list(unpinned(plan(CREATE, strand), 1)) == []
    assert list(unpinned(plan(CREATE, KILL.pinned(at())), 1)) == [plan(CREATE, KILL)]


def test_faults_by_the_clock_are_pinned_to_what_is_not_background():
    assert [schedule.steps[1].at for schedule in pinnings(plan(CREATE, KILL), ALPHABET)] == [
        at(side=Side.BEFORE),
        at(side=Side.AFTER),
    ]


def test_a_moment_that_says_nothing_is_dropped():
    runner = FakeRunner(lambda schedule, _: struck(schedule) is not None)
    shrunk = Reducer(runner, AMPLE).shrink(plan(CREATE, KILL.pinned(at(nth=3))), FAILURE)
    assert shrunk.schedule == plan(CREATE, KILL)


def test_a_moment_that_makes_the_failure_sure_is_kept_and_made_the_earliest():
    def fails(schedule: Schedule, run: int) -> bool:
        step = struck(schedule)
        by_chance = run % 5 == 0
        return step is not None and ((step.at is not None and step.at.nth <= 2) or by_chance)

    shrunk = Reducer(FakeRunner(fails), AMPLE).shrink(
        plan(CREATE, make_step("wait_idle"), KILL.pinned(at(nth=2))), FAILURE
    )
    assert shrunk.schedule == plan(CREATE, KILL.pinned(at(nth=1, side=Side.BEFORE)))
    assert shrunk.rate.violations == shrunk.rate.attempts


def test_a_flaky_fault_by_the_clock_becomes_one_at_a_moment():
    def fails(schedule: Schedule, run: int) -> bool:
        step = struck(schedule)
        return step is not None and (step.at == at() or (step.at is None and run % 4 == 0))

    shrunk = Reducer(FakeRunner(fails), AMPLE, alphabet=ALPHABET).shrink(
        plan(CREATE, KILL), FAILURE
    )
    assert shrunk.schedule == plan(CREATE, KILL.pinned(at()))
    assert shrunk.rate.violations == shrunk.rate.attempts


def test_a_moment_that_never_came_is_no_pass():
    def run(schedule: Schedule) -> RunResult:
        step = struck(schedule)
        if step is None or step.at is None:
            return RunResult(schedule=schedule, verdict=Verdict.HOLDS)
        if step.at.nth == 1:
            return RunResult(schedule=schedule, verdict=Verdict.HOLDS, missed=(1,))
        return RunResult(schedule=schedule, verdict=Verdict.VIOLATED, failure=FAILURE)

    start = plan(CREATE, KILL.pinned(at(nth=2, side=Side.BEFORE)))
    shrunk = Reducer(run, AMPLE).shrink(start, FAILURE)
    assert shrunk.schedule == start
