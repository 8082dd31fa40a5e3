"""Every fault on the real reference system does what it says, and heals."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chaosfuzz import actions
from chaosfuzz.actions import make_step
from chaosfuzz.domain.action import STOP_MODES
from chaosfuzz.domain.history import FaultKind, Health, History
from chaosfuzz.domain.outcome import Outcome, classify
from chaosfuzz.domain.task import TaskRequest
from chaosfuzz.targets.process import ReferenceTarget
from chaosfuzz.targets.process.lane import ProcessLane
from chaosfuzz.targets.process.system import ReferenceSystem

DEADLINE_S = 20.0


@pytest.fixture(scope="module")
def lane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessLane]:
    with closing(ReferenceTarget().lane(0, tmp_path_factory.mktemp("lane"))) as opened:
        yield opened


@pytest.fixture
def system(lane: ProcessLane) -> Iterator[ReferenceSystem]:
    with closing(lane.open(2)) as opened:
        yield opened


def context_of(system: ReferenceSystem, history: History) -> actions.ActionContext:
    return actions.ActionContext(
        system=system, history=history, watch=lambda *_, **__: False, healthy_workers=2
    )


def perform(system: ReferenceSystem, history: History, name: str, **arguments: int) -> bool:
    performed = actions.perform(make_step(name, **arguments), context_of(system, history))
    for gone in system.exits():
        assert gone.ordered, gone
    return performed.applied


def heal(system: ReferenceSystem, history: History) -> None:
    actions.heal_all(context_of(system, history))
    assert all(fault.ended_ns is not None for fault in history.faults)


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S} s: {what}"
        time.sleep(0.01)


def works(system: ReferenceSystem, token: str) -> None:
    """A new task is taken and done."""
    wait_for(lambda: system.observe(ask_health=True).health is Health.WELL, "health")
    reply = system.create(TaskRequest(number=1, token=token), 0)
    assert classify(reply) is Outcome.OK, reply

    def done() -> bool:
        tasks = system.observe(ask_health=False).tasks or ()
        return any(t.token == token and t.status.value == "completed" for t in tasks)

    wait_for(done, "the task is completed")


def states(system: ReferenceSystem, component: str) -> str:
    stat = Path(f"/proc/{system.pid(component)}/stat").read_text()
    return stat.rsplit(")", 1)[1].split()[0]


def sessions(system: ReferenceSystem) -> int:
    return system.observe(ask_health=False, count_sessions=True).database_sessions


def test_killed_worker_is_gone_and_comes_back(system: ReferenceSystem) -> None:
    history = History(began_ns=0)
    for how in (0, 1):
        assert perform(system, history, "kill_worker", worker=1, signal=how)
        assert system.worker_names() == ["worker-2"]
        assert not perform(system, history, "kill_worker", worker=1)
        assert perform(system, history, "start_worker", worker=1)
        assert not perform(system, history, "start_worker", worker=1)
    assert [fault.kind for fault in history.faults] == [FaultKind.KILLED, FaultKind.STOPPED]
    works(system, "after-kill")


def test_paused_worker_stands_still_until_resumed(system: ReferenceSystem) -> None:
    history = History(began_ns=0)
    assert perform(system, history, "pause_worker", worker=2)
    wait_for(lambda: states(system, "worker-2") == "T", "stopped")
    assert not perform(system, history, "pause_worker", worker=2)
    assert perform(system, history, "resume_worker", worker=2)
    assert not perform(system, history, "resume_worker", worker=2)
    wait_for(lambda: states(system, "worker-2") != "T", "running")
    assert perform(system, history, "pause_worker", worker=1)
    heal(system, history)
    works(system, "after-pause")


@pytest.mark.parametrize("workers", [0, 1, 5])
def test_scaling_runs_exactly_so_many(system: ReferenceSystem, workers: int) -> None:
    history = History(began_ns=0)
    assert perform(system, history, "scale_workers", workers=workers)
    assert system.worker_names() == [f"worker-{slot}" for slot in range(1, workers + 1)]
    assert not perform(system, history, "scale_workers", workers=workers)
    heal(system, history)
    works(system, "after-scaling")


@pytest.mark.parametrize("mode", range(len(STOP_MODES)))
def test_stopped_database_is_down_until_started(system: ReferenceSystem, mode: int) -> None:
    works(system, "before")
    history = History(began_ns=0)
    assert perform(system, history, "stop_database", mode=mode)
    seen = system.observe(ask_health=True)
    assert seen.tasks is None
    assert seen.health is Health.UNWELL
    assert not perform(system, history, "stop_database", mode=mode)
    assert perform(system, history, "start_database")
    tasks = system.observe(ask_health=False).tasks
    assert tasks is not None
    assert [task.token for task in tasks] == ["before"]
    heal(system, history)
    works(system, "after")


def test_one_session_or_all_of_a_worker_are_cut(system: ReferenceSystem) -> None:
    works(system, "before")
    history = History(began_ns=0)
    assert perform(system, history, "terminate_backend", worker=1, session=1)
    assert perform(system, history, "terminate_backend", worker=1)
    assert not perform(system, history, "terminate_backend", worker=5)
    wait_for(lambda: sessions(system) >= 3, "sessions are opened again")
    assert system.worker_names() == ["worker-1", "worker-2"]
    works(system, "after")


@pytest.mark.parametrize("action", ["stop_server", "kill_server"])
def test_ended_server_is_unreachable_until_started(system: ReferenceSystem, action: str) -> None:
    history = History(began_ns=0)
    assert perform(system, history, action)
    assert system.observe(ask_health=True).health is Health.UNREACHABLE
    assert classify(system.create(TaskRequest(number=1, token="x"), 0)) is Outcome.FAILED
    assert not perform(system, history, action)
    assert perform(system, history, "start_server")
    works(system, "after")


def test_restarted_server_is_another_process(system: ReferenceSystem) -> None:
    history = History(began_ns=0)
    before = system.pid("server-1")
    assert perform(system, history, "restart_server")
    assert system.pid("server-1") != before
    heal(system, history)
    works(system, "after")


def test_everything_at_once_heals(system: ReferenceSystem) -> None:
    history = History(began_ns=0)
    perform(system, history, "pause_worker", worker=1)
    perform(system, history, "kill_worker", worker=2)
    perform(system, history, "stop_database", mode=2)
    perform(system, history, "kill_server")
    heal(system, history)
    assert system.worker_names() == ["worker-1", "worker-2"]
    works(system, "after-all")


def test_death_nobody_ordered_is_told_as_such(system: ReferenceSystem) -> None:
    os.kill(system.pid("worker-1"), signal.SIGKILL)
    gone = []

    def collected() -> bool:
        gone.extend(system.exits())
        return bool(gone)

    wait_for(collected, "the exit is seen")
    assert (gone[0].component, gone[0].ordered) == ("worker-1", False)
