"""A stage over a system whose every look is scripted."""

from collections.abc import Callable, Sequence

import pytest

from chaosfuzz.domain.contract import Contract, Guarantee
from chaosfuzz.domain.fault import Judgement
from chaosfuzz.domain.history import Health, Observation, ProcessExit
from chaosfuzz.domain.outcome import Reception, Reply
from chaosfuzz.domain.scenario import Count, Mark
from chaosfuzz.domain.stop import Stopped, StopSignal
from chaosfuzz.domain.target import System
from chaosfuzz.domain.task import Execution, TaskRequest, TaskState, TaskStatus
from chaosfuzz.domain.task_counts import TaskCounts
from chaosfuzz.domain.verdict import Failure, Signature, Verdict
from chaosfuzz.domain.view import View
from chaosfuzz.execution.observer import ViolationSeenError
from chaosfuzz.scenarios import (
    ApiCheck,
    AwaitTasks,
    CheckAdmin,
    Create,
    KillWorker,
    Pace,
    Program,
    ScenarioParts,
)
from chaosfuzz.scenarios.killing import kill_workers
from chaosfuzz.scenarios.levels import NO_PROGRESS_S
from chaosfuzz.scenarios.perform import perform
from chaosfuzz.scenarios.stage import Stage

CONTRACT = Contract(
    guarantee=Guarantee.AT_LEAST_ONCE,
    lease_ms=10,
    recovery_ms=10,
    acknowledgement_grace_ms=5,
    request_timeout_ms=50,
    health_ms=30,
    max_attempts=3,
)
STUCK = Failure(
    signature=Signature(invariant="fake", kind="STUCK", role="worker"),
    message="task 1 is stuck",
    tasks=(1,),
    step=None,
)


class ScriptedSystem:
    """Two workers; each task is at once in the hands of the next of them and never done.

    A kill finds its victim idle as often as `late` says: its task has just ended by the ledger.
    """

    contract = CONTRACT
    dsn = "dbname=scripted"

    def __init__(self, late: int) -> None:
        self.late = late
        self.workers = ["worker-1", "worker-2"]
        self.rows: dict[str, TaskState] = {}
        self.running: dict[str, Execution] = {}
        self.gone: list[ProcessExit] = []
        self.now_ns = 0
        self.done: list[str] = []

    def observe(self, *, ask_health: bool, count_sessions: bool = False) -> Observation:
        health = Health.WELL if ask_health else Health.UNASKED
        return Observation(at_ns=self.now_ns, tasks=tuple(self.rows.values()), health=health)

    def executions(self) -> Sequence[Execution]:
        return tuple(self.running.values())

    def exits(self) -> Sequence[ProcessExit]:
        gone, self.gone = self.gone, []
        return gone

    def worker_names(self) -> Sequence[str]:
        return self.workers

    def create(self, request: TaskRequest, due_ns: int) -> Reply:
        number = len(self.rows)
        worker = self.workers[number % 2]
        self.rows[request.token] = TaskState(
            task_id=str(number),
            token=request.token,
            status=TaskStatus.RUNNING,
            attempts=1,
            max_attempts=3,
        )
        self.running[request.token] = Execution(
            task_id=str(number),
            token=request.token,
            attempt=1,
            component=worker,
            pid=int(worker[-1]),
            start_ns=1,
        )
        return Reply(reception=Reception.ANSWERED, status=200, task_id=str(number))

    def cancel(self, task_id: str, user: int) -> Reply:
        raise NotImplementedError

    def retry(self, task_id: str, user: int) -> Reply:
        raise NotImplementedError

    def close(self) -> None:
        pass

    def start(self, component: str) -> bool:
        if not component.startswith("worker") or component in self.workers:
            return False
        self.done.append(f"start {component}")
        self.workers = sorted([*self.workers, component])
        return True

    def kill(self, component: str, *, graceful: bool) -> bool:
        self.done.append(f"kill {component}")
        self.die(component)
        return True

    def die(self, worker: str) -> None:
        self.workers.remove(worker)
        pid = int(worker[-1])
        self.gone.append(ProcessExit(component=worker, pid=pid, exit_code=-9, ordered=True))
        for token, execution in self.running.items():
            if execution.component == worker and execution.end_ns is None:
                end_ns = 2 if self.late else None
                self.running[token] = Execution(
                    **{**vars(execution), "end_ns": end_ns, "result": end_ns and "finished"}
                )
                status = TaskStatus.COMPLETED if self.late else TaskStatus.RETRYING
                self.rows[token] = TaskState(**{**vars(self.rows[token]), "status": status})
        self.late = max(0, self.late - 1)


class Judging:
    def __init__(self, failing: Callable[[View], bool] = lambda _view: False) -> None:
        self.failing = failing

    def judge(self, view: View, step: int | None) -> Judgement:
        if self.failing(view):
            return Judgement(verdict=Verdict.VIOLATED, failures=(STUCK,))
        return Judgement(verdict=Verdict.HOLDS)


class Quiet:
    def write(self, kind: str, **fields: str | int | float | bool | None) -> None:
        pass

    def since(self, began_ns: int) -> list[tuple[int, int]]:
        return []

    def lateness_since(self, began_ns: int) -> list[tuple[int, int]]:
        return []

    def close(self) -> None:
        pass


class Lane:
    def open(self, workers: int) -> System:
        raise NotImplementedError

    def close(self) -> None:
        pass


def stage_over(
    system: ScriptedSystem,
    judge: Judging | None = None,
    counted: TaskCounts = TaskCounts(),  # noqa: B008 - frozen
) -> Stage:
    parts = ScenarioParts(
        lane=Lane(),
        judge=judge or Judging(),
        journal=Quiet(),
        stalls=Quiet(),
        stop=StopSignal(),
        check_api=lambda _url: ApiCheck(count=Count(good=0, of=0)),
        task_counts=lambda _dsn, _tag: counted,
        show=lambda _line: None,
        say=lambda _line: None,
    )
    program = Program(workers=2, phases=(AwaitTasks(),), deadline_s=1.0)
    return Stage(system, program, parts, Pace(speed=100), "mine", "1")


def test_a_kill_counts_with_the_tasks_that_were_at_work():
    system = ScriptedSystem(late=0)
    stage = stage_over(system)
    stage.create(Create(count=4))
    kill_workers(KillWorker(times=1, down_s=0.0), stage)
    (strike,) = stage.kills
    expected = {"worker-1": (1, 3), "worker-2": (2, 4)}
    assert strike.tasks == expected[strike.component]
    assert system.done == [f"kill {strike.component}", f"start {strike.component}"]
    assert stage.undecided == {}
    (recovered,) = stage.recoveries
    assert recovered.seconds is not None


def test_a_kill_that_struck_nobody_at_work_is_said_and_repeated_on_one_who_is():
    system = ScriptedSystem(late=1)
    stage = stage_over(system)
    stage.create(Create(count=4))
    kill_workers(KillWorker(times=1, down_s=0.0), stage)
    first, again, second, _ = system.done
    assert (first[:4], again[:5], second[:4]) == ("kill", "start", "kill")
    assert first != second
    assert any("ran no task; another kill follows" in note for note in stage.notes)
    assert len(stage.kills) == 1
    assert stage.undecided == {}


def test_kills_that_never_strike_work_leave_the_scenario_undecided():
    stage = stage_over(ScriptedSystem(late=9))
    stage.create(Create(count=2))
    kill_workers(KillWorker(times=1, down_s=0.0), stage)
    assert stage.kills == []
    assert list(stage.undecided) == ["kills of a worker at work: 0, wanted at least 1"]


def test_waiting_is_given_up_when_nothing_moves():
    stage = stage_over(ScriptedSystem(late=0))
    stage.create(Create(count=1))
    assert stage.wait(lambda: False, None) is False
    assert stage.stuck
    assert any("nothing moved for" in note for note in stage.notes)


def test_how_long_to_wait_is_known_before_anything_was_observed():
    stage = stage_over(ScriptedSystem(late=0))
    assert stage.history.observations == []
    # Nothing moves for as long as the guide says at this speed.
    assert stage.no_progress_s() == stage.pace.seconds(NO_PROGRESS_S)


def test_waiting_ends_as_soon_as_the_condition_holds():
    stage = stage_over(ScriptedSystem(late=0))
    assert stage.wait(lambda: True, None) is True
    assert not stage.stuck


def test_a_broken_promise_ends_the_scenario_at_once():
    judge = Judging(lambda view: bool(view.history.executions))
    stage = stage_over(ScriptedSystem(late=0), judge)
    with pytest.raises(ViolationSeenError, match="task 1 is stuck"):
        stage.create(Create(count=1))


def test_a_stop_ends_waiting():
    stage = stage_over(ScriptedSystem(late=0))
    stage.parts.stop.set()
    with pytest.raises(Stopped):
        stage.wait(lambda: False, None)


@pytest.mark.parametrize(
    ("counted", "mark"),
    [
        (TaskCounts(running=2), Mark.MET),
        (TaskCounts(running=1), Mark.MISSED),
        (TaskCounts(completed=2), Mark.MISSED),
        (TaskCounts(), Mark.MISSED),
    ],
)
def test_what_an_administrator_counts_is_held_against_what_was_created(
    counted: TaskCounts, mark: Mark
):
    stage = stage_over(ScriptedSystem(late=0), counted=counted)
    stage.create(Create(count=2, tag="mine"))
    stage.create(Create(count=1, tag="other"))
    perform(CheckAdmin(tag="mine"), stage)
    (criterion,) = stage.criteria
    assert (criterion.mark, criterion.target) == (mark, "2 running")


def test_work_that_outlasts_every_bound_puts_the_deadline_off():
    stage = stage_over(ScriptedSystem(late=0))
    plain = stage.deadline_s()
    stage.create(Create(count=1))
    assert stage.deadline_s() == plain
    stage.create(Create(count=1, outlasts=True))
    # Twice the time in which a free worker takes a task, which is longer than the lease here.
    assert stage.history.creations[-1].request.duration_ms == 2 * CONTRACT.pickup_ms
    assert stage.deadline_s() == plain + 2 * CONTRACT.pickup_ms / 1000
