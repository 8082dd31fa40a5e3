"""Replies that are lost, reset or late on the real reference system: what the history says."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chaosfuzz.actions import make_step
from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.domain.history import Creation, FaultKind, History
from chaosfuzz.domain.moment import CLIENT, Moment, Side
from chaosfuzz.domain.outcome import Outcome, classify
from chaosfuzz.domain.schedule import Schedule, Step
from chaosfuzz.domain.stop import StopSignal
from chaosfuzz.domain.target import Runner, RunResult
from chaosfuzz.domain.task import TaskRequest, TaskStatus
from chaosfuzz.domain.verdict import Verdict
from chaosfuzz.targets.process import ReferenceTarget
from chaosfuzz.wire import LaneWire

CREATE = make_step("create_tasks", count=1)
AFTER = Moment(event="POST /api/v1/tasks", side=Side.AFTER)
BEFORE = Moment(event="POST /api/v1/tasks", side=Side.BEFORE)


class Silence:
    """A journal that nobody reads."""

    def write(self, kind: str, **fields: str | float | bool | None) -> None:
        """Write nothing."""


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    logs = tmp_path_factory.mktemp("logs")
    with closing(Setup().runner(0, logs, Silence(), StopSignal())) as made:
        yield made


def run(runner: Runner, *steps: Step) -> tuple[RunResult, History, Creation]:
    """Run a schedule that holds and whose moments all come; return its first creation too."""
    result = runner.run(Schedule(workers=1, steps=steps))
    assert (result.verdict, result.missed, result.failure) == (Verdict.HOLDS, (), None)
    assert result.history is not None
    return result, result.history, result.history.creations[0]


def tasks_of(history: History, creation: Creation) -> list[TaskStatus]:
    latest = history.observations[-1].tasks or ()
    return [task.status for task in latest if task.token == creation.request.token]


def faults(history: History) -> list[tuple[FaultKind, str]]:
    assert all(fault.ended_ns is not None for fault in history.faults)
    return [(fault.kind, fault.component) for fault in history.faults]


def test_a_creation_whose_reply_is_lost_is_unknown_and_there(runner: Runner):
    _, history, creation = run(runner, CREATE, make_step("lose_reply").pinned(AFTER))
    assert creation.outcome is Outcome.UNKNOWN
    assert tasks_of(history, creation) == [TaskStatus.COMPLETED]
    assert faults(history) == [(FaultKind.CUT_OFF, CLIENT)]


def test_a_creation_that_is_reset_before_the_server_is_unknown_and_not_there(runner: Runner):
    _, history, creation = run(runner, CREATE, make_step("reset_request").pinned(BEFORE))
    assert creation.outcome is Outcome.UNKNOWN
    assert tasks_of(history, creation) == []
    assert faults(history) == [(FaultKind.CUT_OFF, CLIENT)]


def test_a_late_reply_is_heard_in_the_end(runner: Runner):
    _, history, creation = run(runner, CREATE, make_step("delay_reply", ms=200).pinned(AFTER))
    assert creation.outcome is Outcome.OK
    assert creation.ended_ns - creation.sent_ns >= 200 * 10**6
    assert faults(history) == [(FaultKind.CUT_OFF, CLIENT)]


def test_a_reply_that_is_too_late_is_not_held_against_the_server(runner: Runner):
    _, history, creation = run(runner, CREATE, make_step("delay_reply", ms=5000).pinned(AFTER))
    assert creation.outcome is Outcome.UNKNOWN
    assert tasks_of(history, creation) == [TaskStatus.COMPLETED]


@pytest.mark.parametrize(("moment", "tasks"), [(BEFORE, 0), (AFTER, 1)])
@pytest.mark.parametrize("action", ["kill_server", "restart_server"])
def test_a_server_that_ends_at_a_request(runner: Runner, moment: Moment, tasks: int, action: str):
    _, history, creation = run(runner, CREATE, make_step(action).pinned(moment))
    assert creation.outcome is Outcome.UNKNOWN
    assert len(tasks_of(history, creation)) == tasks


def test_a_worker_can_be_struck_at_a_request_of_the_client(runner: Runner):
    cut = make_step("cut_connection", worker=1).pinned(AFTER)
    _, history, creation = run(runner, CREATE, cut)
    assert creation.outcome is Outcome.OK
    assert faults(history) == [
        (FaultKind.KEPT_STILL, "client-1"),
        (FaultKind.CUT_OFF, "worker-1"),
    ]


def test_a_cancellation_whose_reply_is_lost_may_have_happened(runner: Runner):
    work = make_step("create_tasks", count=1, delay_ms=400)
    moment = Moment(event="POST /api/v1/tasks/{id}/cancel", side=Side.AFTER)
    steps = (work, make_step("cancel_task", task=1), make_step("lose_reply").pinned(moment))
    _, history, creation = run(runner, *steps)
    assert [operation.outcome for operation in history.operations] == [Outcome.UNKNOWN]
    assert tasks_of(history, creation) == [TaskStatus.CANCELLED]


def test_a_server_that_is_down_has_certainly_not_done_it(tmp_path: Path):
    target = ReferenceTarget(make_wire=LaneWire)
    with closing(target.lane(0, tmp_path)) as lane, closing(lane.open(1)) as system:
        system.kill("server-1", graceful=False)
        reply = system.create(TaskRequest(number=1, token="x"), 0)
        assert classify(reply) is Outcome.FAILED
        system.start("server-1")
        assert classify(system.create(TaskRequest(number=1, token="x"), 0)) is Outcome.OK
        keys = {request.event for request in system.requests() if request.component == CLIENT}
        assert keys == {"POST /api/v1/tasks"}
