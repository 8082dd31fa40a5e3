"""Steps with moments: armed ahead, done when the moment comes, told when it never does."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from chaosfuzz.actions import make_step
from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.domain.history import FaultKind
from chaosfuzz.domain.moment import Moment, Side
from chaosfuzz.domain.target import RunResult
from chaosfuzz.domain.task import TaskRequest
from chaosfuzz.domain.verdict import Verdict
from chaosfuzz.domain.wire import Intervention, Request

if TYPE_CHECKING:
    from chaosfuzz.domain.outcome import Reply
    from tests.unit.execution.conftest import Stage

CREATE = make_step("create_tasks", count=1)
KILL = make_step("kill_worker", worker=1)
STRIKE = KILL.pinned(Moment(event="UPDATE tasks", side=Side.AFTER))


class FakeTrap:
    """A trap that a test springs."""

    def __init__(self, log: list[str], sprung: Callable[[], None]) -> None:
        self.log = log
        self.sprung_ns: int | None = None
        self._sprung = sprung

    def spring(self) -> None:
        self.sprung_ns = 1
        self._sprung()

    def release(self) -> None:
        self.log.append("disarm")


class Trappable:
    """Gives the fake system traps that spring at its nth creation."""

    def __init__(self, stage: "Stage", spring_at: int) -> None:
        self.stage = stage
        self.spring_at = spring_at
        self.traps: list[FakeTrap] = []
        self.trap_type = FakeTrap
        self._create = stage.system.create
        stage.system.create = self.create  # type: ignore[method-assign]
        stage.system.set_trap = self.set_trap  # type: ignore[attr-defined]
        stage.system.unfreeze = self.unfreeze  # type: ignore[attr-defined]
        stage.system.requests = self.requests  # type: ignore[attr-defined]

    def create(self, request: TaskRequest, due_ns: int) -> "Reply":
        reply = self._create(request, due_ns)
        if request.number == self.spring_at:
            for trap in self.traps:
                trap.spring()
        return reply

    def set_trap(
        self,
        component: str,
        moment: Moment,
        intervention: Intervention,
        sprung: Callable[[], None],
        *,
        hold_ms: int,
        about: Callable[[], frozenset[str]] | None = None,
    ) -> FakeTrap:
        self.stage.log.append(f"arm {component} {moment} {intervention}")
        self.about = about
        self.traps.append(self.trap_type(self.stage.log, sprung))
        return self.traps[-1]

    def unfreeze(self, component: str) -> None:
        self.stage.log.append(f"let go {component}")

    def requests(self) -> Sequence[Request]:
        return ()


def run(stage: "Stage", spring_at: int, *steps: object) -> RunResult:
    Trappable(stage, spring_at)
    return stage.run(*steps)  # type: ignore[arg-type]


def test_it_is_armed_before_the_step_in_front_of_it(stage: "Stage"):
    run(stage, 1, CREATE, STRIKE)
    at = stage.log.index
    armed = at("arm worker-1 after UPDATE tasks freeze")
    assert armed < at("create 1") < at("kill worker-1") < at("let go worker-1")


def test_a_moment_of_a_task_knows_its_names_as_they_become_known(stage: "Stage"):
    trappable = Trappable(stage, 2)
    of_task_2 = KILL.pinned(Moment(event="UPDATE tasks", task=2))
    result = stage.run(CREATE, CREATE, of_task_2)
    assert trappable.about is not None
    assert result.history is not None
    (first, second) = result.history.creations[:2]
    assert trappable.about() == {second.request.token, *second.task_ids}
    assert first.request.token not in trappable.about()


def test_a_moment_that_comes_while_it_is_given_up_is_struck_and_let_go(stage: "Stage"):
    class LateTrap(FakeTrap):
        def release(self) -> None:
            self.spring()

    trappable = Trappable(stage, 9)
    trappable.trap_type = LateTrap
    stage.run(CREATE, STRIKE)
    at = stage.log.index
    assert at("kill worker-1") < at("let go worker-1") < at("heal")


def test_it_is_journalled_when_it_is_armed_and_before_it_strikes(stage: "Stage"):
    run(stage, 1, CREATE, STRIKE)
    at = stage.log.index
    assert at(f"journal armed {STRIKE}") < at("create 1")
    assert at(f"journal strike {STRIKE}") < at("kill worker-1")


def test_a_moment_that_came_is_counted(stage: "Stage"):
    result = run(stage, 1, CREATE, STRIKE)
    assert (result.moments, result.missed) == (1, ())
    assert result.verdict is Verdict.HOLDS


def test_a_moment_that_never_came_is_told_and_disarmed(stage: "Stage"):
    result = run(stage, 9, CREATE, STRIKE)
    assert (result.moments, result.missed) == (0, (1,))
    assert "kill worker-1" not in stage.log
    assert "disarm" in stage.log
    assert result.history is not None
    assert result.history.steps[1].detail == "the moment has not come"


def test_one_that_never_comes_is_not_waited_for_as_long_as_a_lease_of_hours(stage: "Stage"):
    hours_ms = 4 * 3_600_000
    stage.system.contract = replace(stage.system.contract, lease_ms=hours_ms)
    result = run(stage, 9, CREATE, STRIKE)
    assert result.missed == (1,)
    assert result.duration_s < hours_ms / 1000


def test_one_that_is_not_armed_yet_does_not_strike(stage: "Stage"):
    result = run(stage, 1, CREATE, CREATE, STRIKE)
    assert result.missed == (2,)


def test_a_violation_needs_the_step_that_struck_ahead_of_its_turn(stage: "Stage"):
    performed = "kill worker-1"
    stage.judge.violated_if = lambda _view, _step: performed in stage.log
    result = run(stage, 1, CREATE, STRIKE)
    assert result.failure is not None
    assert result.failure.step == 1


def test_a_target_without_moments_says_so(stage: "Stage"):
    with pytest.raises(UsageError, match="no moments"):
        stage.run(CREATE, STRIKE)


def test_a_strike_that_breaks_the_harness_is_no_verdict(stage: "Stage"):
    stage.system.error = InfrastructureError(cause="no keeper", remedy="run again")
    with pytest.raises(InfrastructureError, match="no keeper"):
        run(stage, 1, CREATE, STRIKE)


def test_whoever_is_kept_still_while_another_is_struck_is_excused(stage: "Stage"):
    stop = make_step("kill_worker", worker=1).pinned(
        Moment(event="UPDATE tasks", component="worker-2")
    )
    result = run(stage, 1, CREATE, stop)
    assert result.history is not None
    kept = [f for f in result.history.faults if f.kind is FaultKind.KEPT_STILL]
    assert [(fault.component, fault.began_ns) for fault in kept] == [("worker-2", 1)]
    assert kept[0].ended_ns is not None


def test_a_fault_of_nobody_in_particular_has_to_say_whose_request_it_is(stage: "Stage"):
    anyone = make_step("stop_database").pinned(Moment(event="UPDATE tasks"))
    with pytest.raises(UsageError, match="names no component"):
        run(stage, 1, CREATE, anyone)
