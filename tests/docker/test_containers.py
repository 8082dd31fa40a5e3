"""The reference system in containers: every step on the real engine."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from chaosfuzz.actions import find_action, make_step
from chaosfuzz.bench.throughput import compose
from chaosfuzz.campaign.replay import replay_on, setup_for
from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.cases import CaseStore
from chaosfuzz.domain.abilities import CONTAINER_ABILITIES, PROCESS_ABILITIES
from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.domain.history import FaultKind
from chaosfuzz.domain.schedule import Schedule, Step
from chaosfuzz.domain.stop import StopSignal
from chaosfuzz.domain.target import RunResult, System
from chaosfuzz.domain.verdict import Verdict
from chaosfuzz.execution import ScheduleRunner
from chaosfuzz.reporting.eventlog import EventLog
from chaosfuzz.targets.docker.abilities import probe
from chaosfuzz.targets.docker.engine import Engine
from chaosfuzz.targets.docker.things import RUN
from chaosfuzz.targets.registry import describe

STORE = CaseStore(Path(__file__).parents[2] / "shrunk_cases" / "reference")
TRIES_UNTIL_VIOLATED = 20
RERUNS = 4
DEADLINE_S = 30


@pytest.fixture(scope="module")
def runner(
    engine: Engine,  # noqa: ARG001 - skips where there is none
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ScheduleRunner]:
    directory = tmp_path_factory.mktemp("containers")
    with closing(EventLog(directory / "events.jsonl")) as journal:
        made = Setup(on="docker").runner(0, directory, journal, StopSignal())
        assert isinstance(made, ScheduleRunner)
        with closing(made):
            yield made


def run_decided(runner: ScheduleRunner, *steps: Step, workers: int = 2) -> RunResult:
    """Run again what could not be decided, as `fuzz` does: a busy machine proves nothing."""
    schedule = Schedule(workers=workers, steps=steps)
    result = runner.run(schedule)
    for _ in range(RERUNS):
        if result.verdict is not Verdict.UNKNOWN:
            break
        result = runner.run(schedule)
    return result


def test_every_ability_is_tried_and_one_that_is_lacking_says_why(engine: Engine) -> None:
    problems = probe(engine)
    assert set(problems) == CONTAINER_ABILITIES
    actions = map(find_action, describe("reference", "docker").actions)
    offered = frozenset().union(*(action.abilities for action in actions))
    assert offered == PROCESS_ABILITIES | {each for each, why in problems.items() if not why}


@pytest.mark.parametrize("seed", range(3))
def test_the_correct_system_holds_through_every_plain_fault(
    runner: ScheduleRunner, seed: int
) -> None:
    result = run_decided(runner, *compose(seed).steps)
    assert result.verdict is Verdict.HOLDS, result
    assert result.steps_run == len(compose(seed).steps)


WORK = make_step("create_tasks", count=2, duration_ms=150)
IDLE, LEASE = make_step("wait_idle"), make_step("wait_lease")
WAIT = make_step("wait", ms=300)


def on_worker(name: str, **arguments: int) -> Step:
    return make_step(name, worker=1, **arguments)


SUFFERED: dict[str, tuple[FaultKind, tuple[Step, ...]]] = {
    "disconnect": (
        FaultKind.CUT_OFF,
        (on_worker("disconnect_worker"), LEASE, WORK, on_worker("connect_worker")),
    ),
    "partition from the database": (
        FaultKind.CUT_OFF,
        (on_worker("partition_worker"), LEASE, on_worker("rejoin_worker")),
    ),
    "server without database": (
        FaultKind.CUT_OFF,
        (make_step("partition_server", peer=0), make_step("rejoin_server"), WORK),
    ),
    "server without clients": (
        FaultKind.CUT_OFF,
        (make_step("partition_server", peer=1), make_step("rejoin_server"), WORK),
    ),
    "packets lost": (
        FaultKind.CUT_OFF,
        (on_worker("lose_packets", percent=60), WAIT, on_worker("restore_packets")),
    ),
    "reset": (FaultKind.CUT_OFF, (on_worker("reset_connections"),)),
    "slow": (
        FaultKind.SLOWED,
        (on_worker("limit_cpu", percent=10), WAIT, on_worker("lift_limits")),
    ),
    "little memory": (
        FaultKind.SLOWED,
        (on_worker("limit_memory", mb=4), WORK, on_worker("lift_limits")),
    ),
    "killed for memory": (
        FaultKind.KILLED,
        (on_worker("exhaust_memory"), on_worker("start_worker")),
    ),
    "full disk": (
        FaultKind.DISK_FULL,
        (make_step("fill_disk"), make_step("create_tasks", count=3), make_step("free_disk")),
    ),
    "clock wrong": (
        FaultKind.CLOCK_WRONG,
        (on_worker("skew_clock", ms=3_600_000), WORK, WAIT),
    ),
    "killed while paused": (
        FaultKind.PAUSED,
        (on_worker("pause_worker"), on_worker("kill_worker")),
    ),
    "killed while off the network": (
        FaultKind.CUT_OFF,
        (on_worker("disconnect_worker"), on_worker("kill_worker"), on_worker("start_worker")),
    ),
}


@pytest.mark.parametrize("name", SUFFERED)
def test_the_correct_system_holds_whatever_its_containers_suffer(
    runner: ScheduleRunner, name: str
) -> None:
    kind, steps = SUFFERED[name]
    result = run_decided(runner, WORK, *steps, IDLE)
    assert result.verdict is Verdict.HOLDS, result
    assert result.history is not None
    assert kind in {fault.kind for fault in result.history.faults}
    assert all(each.ended_ns is not None for each in result.history.faults)
    applied = {record.step: record.applied for record in result.history.steps}
    assert applied[steps[0]]


def test_a_container_that_is_off_the_network_gets_nothing_done(runner: ScheduleRunner) -> None:
    cut_off = make_step("disconnect_worker", worker=1)
    result = run_decided(runner, cut_off, WORK, make_step("wait", ms=800), workers=1)
    assert result.verdict is Verdict.HOLDS, result
    assert result.history is not None
    began_ns = result.history.faults[0].began_ns
    healed_ns = result.history.healed_ns
    assert healed_ns is not None
    assert result.history.executions
    assert not [e for e in result.history.executions if began_ns < e.start_ns < healed_ns]


@pytest.mark.parametrize("policy", [1, 2])
def test_a_worker_with_a_restart_policy_is_back_without_a_step(
    runner: ScheduleRunner, policy: int
) -> None:
    set_policy = on_worker("set_restart_policy", policy=policy)
    steps = (set_policy, WORK, on_worker("kill_worker"), make_step("wait", ms=3000))
    result = run_decided(runner, *steps, workers=1)
    assert result.verdict is Verdict.HOLDS, result
    history = result.history
    assert history is not None
    (gone,) = history.exits
    assert "started again in 100 ms" in gone.detail
    assert history.healed_ns is not None
    assert [e for e in history.executions if gone.at_ns < e.start_ns < history.healed_ns]


def test_a_worker_asked_politely_stays_down_whatever_its_policy(runner: ScheduleRunner) -> None:
    politely = on_worker("kill_worker", signal=1)
    steps = (on_worker("set_restart_policy", policy=2), politely, WORK, WAIT)
    result = run_decided(runner, *steps, workers=1)
    assert result.verdict is Verdict.HOLDS, result
    history = result.history
    assert history is not None
    assert history.healed_ns is not None
    assert all(execution.start_ns > history.healed_ns for execution in history.executions)


def ask_until_told(system: System) -> None:
    """Ask for exits until the engine has told of the lack of memory."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        system.exits()
        time.sleep(0.02)


def test_a_container_killed_for_memory_by_nobody_s_order_is_no_verdict(
    runner: ScheduleRunner,
) -> None:
    system = runner.lane.open(1)
    try:
        container = system._containers.container("worker-1")  # type: ignore[attr-defined]
        container.exhaust_memory()
        with pytest.raises(InfrastructureError, match="lack of memory"):
            ask_until_told(system)
    finally:
        system.close()


def test_only_what_carries_the_run_s_label_is_there_and_all_of_it_goes(
    engine: Engine, tmp_path: Path
) -> None:
    before = {thing.identity for thing in engine.things()}
    with closing(Setup(on="docker").lane(0, tmp_path)) as lane:
        lane.open(2).close()
        made = [thing for thing in engine.things() if thing.identity not in before]
        assert {thing.kind for thing in made} == {"container", "network", "volume"}
        assert len({thing.labels[RUN] for thing in made}) == 1
    assert {thing.identity for thing in engine.things()} <= before


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("path", STORE.find(), ids=lambda path: path.stem)
def test_a_defect_that_processes_show_shows_on_containers(path: Path, tmp_path: Path) -> None:
    case = replace(STORE.load(path), on="docker")
    # Containers may take longer to answer than a task is to be late.
    late = {
        index: step.having(delay_ms=1000)
        for index, step in enumerate(case.schedule.steps)
        if step.action == "create_tasks" and 0 < step["delay_ms"] < 1000
    }
    case = replace(case, schedule=case.schedule.edited(late))
    with closing(EventLog(tmp_path / "events.jsonl")) as journal:
        setup = setup_for(case)
        setup.check_case(case)
        stop = StopSignal()
        with closing(setup.runner(0, tmp_path, journal, stop)) as runner:
            tries = list(replay_on(runner, case, TRIES_UNTIL_VIOLATED, until_violated=True))
    assert any(attempt.violated for attempt in tries), [str(t.result.failure) for t in tries]
