"""Schedules and scenarios are observed by the same code: what one records the other does too."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from unit.execution.conftest import FakeJournal, FakeLane, FakeSystem

from chaosfuzz.actions import kill_worker, wait
from chaosfuzz.domain.fault import Judgement
from chaosfuzz.domain.history import History, Observation, ProcessExit
from chaosfuzz.domain.scenario import Count, ScenarioResult
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.stop import StopSignal
from chaosfuzz.domain.task_counts import TaskCounts
from chaosfuzz.domain.verdict import Failure, Signature, Verdict
from chaosfuzz.domain.view import View
from chaosfuzz.execution import ScheduleRunner
from chaosfuzz.scenarios import (
    LEVELS,
    ApiCheck,
    Call,
    Pace,
    Program,
    Scenario,
    ScenarioParts,
    ScenarioRunner,
    Stage,
)

LIMIT = Failure(
    signature=Signature(invariant="fake", kind="RERUN", role="worker"),
    message="task 1 ran twice",
    tasks=(1,),
    step=None,
    documented="tasks may run twice (manual, page 3)",
)
STARVED = (5, 9)
KILLED = ProcessExit(
    component="worker-1", pid=7, exit_code=1, ordered=False, detail="out of memory", at_ns=42
)


class DyingSystem(FakeSystem):
    """Its worker dies at a kill, with a detail and a time, and comes up again two looks later."""

    def __init__(self) -> None:
        super().__init__([])
        self.looks_until_up = 0

    def observe(self, *, ask_health: bool, count_sessions: bool = False) -> Observation:
        self.looks_until_up -= 1
        if not self.workers and self.looks_until_up <= 0:
            self.workers = ["worker-1"]
        seen = super().observe(ask_health=ask_health, count_sessions=count_sessions)
        return replace(seen, components_up=tuple(self.workers))

    def kill(self, component: str, *, graceful: bool) -> bool:
        self.workers, self.looks_until_up = [], 2
        self.exited.append(KILLED)
        return True

    def starved(self) -> Sequence[tuple[int, int]]:
        return (STARVED,)


class KeepingJudge:
    """Finds a documented limit, and keeps what it was shown."""

    def __init__(self) -> None:
        self.history: History | None = None

    def judge(self, view: View, step: int | None) -> Judgement:
        self.history = view.history
        return Judgement(verdict=Verdict.HOLDS, limits=(LIMIT,))


class NoStalls:
    def since(self, began_ns: int) -> list[tuple[int, int]]:
        return []

    def lateness_since(self, began_ns: int) -> list[tuple[int, int]]:
        return []


def run_schedule(judge: KeepingJudge) -> None:
    system, stop = DyingSystem(), StopSignal()
    lane = FakeLane(system, system.log)
    runner = ScheduleRunner(lane, judge, FakeJournal([]), stop)
    try:
        runner.run(Schedule(workers=1, steps=(kill_worker(worker=1), wait(ms=60))))
    finally:
        runner.close()


def run_scenario(judge: KeepingJudge) -> ScenarioResult:
    system = DyingSystem()
    parts = ScenarioParts(
        lane=FakeLane(system, system.log),
        judge=judge,
        journal=FakeJournal([]),
        stalls=NoStalls(),
        stop=StopSignal(),
        check_api=lambda _url: ApiCheck(count=Count(good=0, of=0)),
        task_counts=lambda _dsn, _tag: TaskCounts(),
        show=lambda _line: None,
        say=lambda _line: None,
    )

    def kill(stage: Stage) -> None:
        stage.do(kill_worker(worker=1))
        stage.wait(lambda: False, 0.06, by_progress=False)

    program = Program(workers=1, phases=(Call(function=kill),), deadline_s=1.0)
    scenario = Scenario(name="mine", summary="", plan=lambda _level: program)
    return ScenarioRunner(parts, Pace(speed=100), 1).run(scenario, LEVELS[1])


def recorded(history: History | None) -> dict[str, object]:
    """Return what a history holds, without what depends on tokens, clocks and how often one looked.

    A scenario asks for health while it waits, a schedule after its steps.
    """
    assert history is not None
    up = [seen.components_up for seen in history.observations]
    changes = [each for each, before in zip(up, [None, *up], strict=False) if each != before]
    return {
        "exits": history.exits,
        "components": changes,
        "creations": [(c.request.number, c.outcome) for c in history.creations],
        "faults": [(f.kind, f.component, f.ended_ns is not None) for f in history.faults],
        "first step": history.steps[0].step.action,
        "executions": history.executions,
        "starved": [span for span in history.stalls if span == STARVED],
        "healed": history.healed_ns is not None,
    }


@pytest.fixture(scope="module")
def judged_scenario() -> tuple[ScenarioResult, History]:
    judge = KeepingJudge()
    result = run_scenario(judge)
    assert judge.history is not None
    return result, judge.history


def test_both_drivers_record_the_same_history(
    judged_scenario: tuple[ScenarioResult, History],
) -> None:
    judge = KeepingJudge()
    run_schedule(judge)
    _, of_scenario = judged_scenario
    expected = recorded(judge.history)
    assert expected["components"] == [("worker-1",), (), ("worker-1",)]
    assert recorded(of_scenario) == expected


def test_a_scenario_records_what_a_component_said_last_and_when_it_ended(
    judged_scenario: tuple[ScenarioResult, History],
) -> None:
    _, history = judged_scenario
    assert history.exits == [
        ProcessExit(
            component="worker-1",
            pid=7,
            exit_code=1,
            ordered=False,
            detail="out of memory",
            at_ns=42,
        )
    ]


def test_a_scenario_reports_a_documented_limit_without_failing(
    judged_scenario: tuple[ScenarioResult, History],
) -> None:
    result, _ = judged_scenario
    assert result.failures == ()
    told = "documented limit: task 1 ran twice; tasks may run twice (manual, page 3)"
    assert result.notes.count(told) == 1


def test_a_scenario_records_the_spans_in_which_components_starved(
    judged_scenario: tuple[ScenarioResult, History],
) -> None:
    _, history = judged_scenario
    assert STARVED in history.stalls
