"""Faults at moments, on the real reference system through the real proxy."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chaosfuzz.actions import make_step
from chaosfuzz.campaign.learning import learn_at_once
from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.domain.history import FaultKind
from chaosfuzz.domain.moment import Moment, Side
from chaosfuzz.domain.schedule import Schedule, Step
from chaosfuzz.domain.stop import StopSignal
from chaosfuzz.domain.target import Runner, RunResult, TracingRunner
from chaosfuzz.domain.verdict import Verdict
from chaosfuzz.reporting.eventlog import EventLog

CLAIM = "UPDATE tasks SET status='running' WITH state='open', state='half~93ae [35426ab3]"
DONE = "UPDATE tasks SET status='completed' WITH status='running', state~021d [121efac2]"
INSERT = "INSERT tasks [76574570]"
CREATE = make_step("create_tasks", count=1)
WAIT_LEASE = make_step("wait_lease")


def after(event: str, component: str = "", nth: int = 1) -> Moment:
    return Moment(event=event, side=Side.AFTER, component=component, nth=nth)


def before(event: str, component: str = "") -> Moment:
    return Moment(event=event, side=Side.BEFORE, component=component)


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    directory: Path = tmp_path_factory.mktemp("moments")
    with (
        closing(EventLog(directory / "events.jsonl")) as journal,
        closing(Setup().runner(0, directory, journal, StopSignal())) as opened,
    ):
        yield opened


def run(runner: Runner, *steps: Step, workers: int = 1) -> RunResult:
    result = runner.run(Schedule(workers=workers, steps=steps))
    assert result.verdict is Verdict.HOLDS, (result.failure, result.undecided)
    return result


def executions(result: RunResult) -> list[tuple[int, bool]]:
    assert result.history is not None
    token = result.history.creations[0].request.token
    return [(e.attempt, e.finished) for e in result.history.executions if e.token == token]


def _attempts(result: RunResult) -> list[int]:
    """The last attempt at each task that the schedule created."""
    assert result.history is not None
    tokens = [creation.request.token for creation in result.history.creations[:3]]
    by_token = {e.token: e.attempt for e in result.history.executions}
    return [by_token[token] for token in tokens]


def faults(result: RunResult) -> list[tuple[FaultKind, str]]:
    assert result.history is not None
    return [(fault.kind, fault.component) for fault in result.history.faults]


def test_a_worker_killed_after_its_claim_has_not_started_the_task(runner: Runner) -> None:
    result = run(runner, CREATE, make_step("kill_worker", worker=1).pinned(after(CLAIM)))
    assert result.missed == ()
    assert executions(result) == [(2, True)]
    assert faults(result) == [(FaultKind.KILLED, "worker-1")]


def test_a_moment_may_be_that_of_one_task_alone(runner: Runner) -> None:
    # Two at a time: the others are done by when the third is.
    three = make_step("create_tasks", count=3, duration_ms=100)
    done_with_3 = Moment(event=DONE, task=3)
    result = run(runner, three, make_step("kill_worker", worker=1).pinned(done_with_3))
    assert result.missed == ()
    assert _attempts(result) == [1, 1, 2]


def test_a_claim_is_that_of_the_task_it_brought(runner: Runner) -> None:
    claims_3 = Moment(event=CLAIM, side=Side.AFTER, task=3)
    three = make_step("create_tasks", count=3)
    result = run(runner, three, make_step("kill_worker", worker=1).pinned(claims_3))
    assert result.missed == ()
    assert _attempts(result)[2] == 2


def test_a_moment_of_a_task_that_never_is_does_not_come(runner: Runner) -> None:
    result = run(
        runner, CREATE, make_step("kill_worker", worker=1).pinned(Moment(event=DONE, task=2))
    )
    assert result.missed == (1,)


def test_a_worker_killed_before_its_completion_does_the_task_again(runner: Runner) -> None:
    result = run(runner, CREATE, make_step("kill_worker", worker=1).pinned(before(DONE)))
    assert executions(result) == [(1, True), (2, True)]


def test_a_worker_killed_after_its_completion_does_not(runner: Runner) -> None:
    result = run(runner, CREATE, make_step("kill_worker", worker=1).pinned(after(DONE)))
    assert executions(result) == [(1, True)]


def test_a_completion_whose_reply_is_lost_is_not_repeated(runner: Runner) -> None:
    result = run(runner, CREATE, make_step("cut_connection", worker=1).pinned(after(DONE)))
    assert executions(result) == [(1, True)]
    assert faults(result) == [(FaultKind.CUT_OFF, "worker-1")]


def test_a_completion_held_beyond_its_lease_does_not_count(runner: Runner) -> None:
    held = make_step("hold_connection", worker=1).pinned(before(DONE))
    result = run(runner, CREATE, held, make_step("wait", ms=900))
    assert executions(result) == [(1, True), (2, True)]
    assert result.missed == ()


def test_a_hold_for_a_time_lets_the_run_go_on_and_ends_by_itself(runner: Runner) -> None:
    hold = make_step("hold_connection", worker=1, ms=300)
    result = run(runner, hold, CREATE, make_step("wait_idle"))
    assert executions(result) == [(1, True)]
    assert result.history is not None
    held, created, idle = result.history.steps
    assert held.ended_ns - held.began_ns < 200 * 10**6
    assert created.ended_ns < held.began_ns + 300 * 10**6 < idle.ended_ns
    (fault,) = result.history.faults
    assert fault.ended_ns is not None
    assert result.history.executions[0].start_ns >= fault.ended_ns - 50 * 10**6


def test_a_worker_killed_while_it_is_held_comes_back_free(runner: Runner) -> None:
    hold, kill = make_step("hold_connection", worker=1), make_step("kill_worker", worker=1)
    again = (make_step("start_worker", worker=1), CREATE, make_step("wait_idle"))
    result = run(runner, hold, kill, *again, hold, make_step("release_connection", worker=1))
    assert executions(result) == [(1, True)]
    assert result.history is not None
    assert all(record.applied for record in result.history.steps)


def test_ending_a_stranded_session_leaves_the_others_alone(runner: Runner) -> None:
    strand = make_step("strand_session", worker=1).pinned(after(CLAIM))
    result = run(runner, CREATE, strand, make_step("wait_lease"), make_step("wait_idle"))
    assert faults(result) == [(FaultKind.CUT_OFF, "worker-1")]
    assert executions(result) == [(2, True)]


STRUCK = [
    make_step("kill_worker", worker=1, signal=1).pinned(before(DONE)),
    make_step("scale_workers", workers=0).pinned(after(CLAIM, "worker-1")),
    make_step("terminate_backend", worker=1).pinned(before(DONE)),
    make_step("stop_database", mode=2).pinned(before(DONE, "worker-1")),
    make_step("stop_database", mode=0).pinned(after(CLAIM, "worker-1")),
    make_step("cut_connection", worker=1).pinned(before(DONE)),
    make_step("hold_connection", worker=1, ms=100).pinned(after(CLAIM)),
    make_step("hold_connection", worker=1).pinned(before(DONE)),
    make_step("strand_session", worker=1).pinned(after(CLAIM)),
    make_step("strand_session", worker=1).pinned(before(DONE)),
    make_step("kill_server").pinned(after(INSERT)),
    make_step("stop_server").pinned(before(INSERT)),
    make_step("restart_server").pinned(before(INSERT)),
    make_step("cut_server").pinned(after(INSERT)),
    make_step("cut_server").pinned(before(INSERT)),
]


@pytest.mark.parametrize("step", STRUCK, ids=str)
def test_every_fault_strikes_at_its_moment_and_heals(runner: Runner, step: Step) -> None:
    result = run(runner, CREATE, step)
    assert (result.moments, result.missed) == (1, ())
    assert result.history is not None
    assert result.history.steps[1].applied
    assert all(fault.ended_ns is not None for fault in result.history.faults)


def test_a_worker_paused_in_its_request_goes_on_with_it(runner: Runner) -> None:
    pause = make_step("pause_worker", worker=1).pinned(before(DONE))
    result = run(runner, CREATE, pause, WAIT_LEASE, make_step("resume_worker", worker=1))
    assert result.missed == ()
    assert executions(result)[0] == (1, True)
    assert faults(result) == [(FaultKind.PAUSED, "worker-1")]


def test_a_request_is_held_until_another_moment(runner: Runner) -> None:
    held = make_step("hold_connection", worker=1).pinned(before(DONE))
    released = make_step("release_connection", worker=1).pinned(after(INSERT, "server-1"))
    result = run(runner, CREATE, held, CREATE, released)
    assert (result.moments, result.missed) == (2, ())
    assert executions(result) == [(1, True)]
    assert result.history is not None
    (first, _second, _canary) = result.history.creations
    (fault,) = (f for f in result.history.faults if f.kind is FaultKind.CUT_OFF)
    assert fault.ended_ns is not None
    assert first.ended_ns < fault.ended_ns < result.history.creations[1].ended_ns


def test_a_moment_that_never_comes_is_told(runner: Runner) -> None:
    never = make_step("kill_worker", worker=1).pinned(after("DELETE tasks [00000000]"))
    result = run(runner, CREATE, never)
    assert (result.moments, result.missed) == (0, (1,))
    assert executions(result) == [(1, True)]


def test_what_a_task_is_made_of_is_learned(runner: Runner) -> None:
    assert isinstance(runner, TracingRunner)
    alphabet = learn_at_once(runner, Setup().description)
    known = {event.event: event for event in alphabet.events}
    assert not known[CLAIM].background
    assert known[CLAIM].polled
    assert not known[DONE].background
    assert not known[DONE].polled
    assert not known[INSERT].background
    # Looks for expired leases come by the clock.
    (recovering,) = (e for e in alphabet.events if "SET status='retrying'|'failed'" in e.event)
    assert recovering.background
    assert all(event.background for event in alphabet.events if event.event == "CONNECT")
    given_up = next(e for e in alphabet.events if "SET status='failed'" in e.event)
    assert given_up.failing
    assert {event.role for event in alphabet.events} == {"client", "server", "worker"}
    asked = [event.event for event in alphabet.of("client") if not event.background]
    assert asked == ["POST /api/v1/tasks"]
