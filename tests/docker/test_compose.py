"""Somebody else's compose file, unmodified: an env file, anchors, replicas, health conditions."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from acceptance.command import chaosfuzz, processes_naming

from chaosfuzz.actions import make_step
from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.history import ProcessExit
from chaosfuzz.domain.schedule import Schedule, Step
from chaosfuzz.domain.stop import StopSignal
from chaosfuzz.domain.verdict import Verdict
from chaosfuzz.execution import ScheduleRunner
from chaosfuzz.reporting.eventlog import EventLog
from chaosfuzz.targets.compose.system import ComposeSystem
from chaosfuzz.targets.docker.engine import Engine
from chaosfuzz.targets.docker.image import find_or_build

SHOP = Path(__file__).parent / "shop"
PROFILE = SHOP / "chaosfuzz.toml"
WORK = make_step("create_tasks", count=2, duration_ms=150)
IDLE = make_step("wait_idle")
DEADLINE_S = 30.0
RERUNS = 3
UP_S, LOOK_S = 120.0, 0.2


@pytest.fixture(scope="module")
def image(engine: Engine) -> Iterator[str]:
    has_compose = (
        shutil.which("docker")
        and not subprocess.run(
            ["docker", "compose", "version"], capture_output=True, check=False
        ).returncode
    )
    if not has_compose:
        pytest.skip("docker has no compose; .ci/docker-engine installs it")
    name = os.environ["SHOP_IMAGE"] = find_or_build(engine)
    yield name
    del os.environ["SHOP_IMAGE"]


@pytest.fixture(scope="module")
def runner(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScheduleRunner]:
    assert image
    directory = tmp_path_factory.mktemp("compose")
    with closing(EventLog(directory / "events.jsonl")) as journal:
        made = Setup(target=str(PROFILE)).runner(0, directory, journal, StopSignal())
        assert isinstance(made, ScheduleRunner)
        with closing(made):
            yield made


@pytest.mark.parametrize(
    "steps",
    [
        (make_step("kill_worker", worker=1), make_step("start_worker", worker=1)),
        (make_step("stop_database", mode=0), make_step("start_database")),
        (make_step("kill_server"), make_step("start_server")),
        (make_step("disconnect_worker", worker=1), make_step("connect_worker", worker=1)),
        (make_step("partition_worker", worker=1), make_step("rejoin_worker", worker=1)),
        (make_step("pause_worker", worker=2), make_step("resume_worker", worker=2)),
        (make_step("scale_workers", workers=3),),
        # After so much work both workers are there and connected.
        (
            make_step("create_tasks", count=8, duration_ms=900),
            IDLE,
            make_step("reset_connections", worker=1),
        ),
        (
            make_step("set_restart_policy", worker=1, policy=1),
            make_step("kill_worker", worker=1),
        ),
    ],
    ids=lambda steps: steps[-1].action,
)
def test_the_shop_holds_through_a_fault(runner: ScheduleRunner, steps: tuple[Step, ...]) -> None:
    schedule = Schedule(workers=2, steps=(WORK, *steps, WORK, IDLE))
    for _ in range(RERUNS):
        result = runner.run(schedule)
        assert result.failure is None, result
        assert result.history is not None
        applied = {record.step: record.applied for record in result.history.steps}
        # A machine that stood still decides nothing, and who is between two connections has none
        # to be reset.
        if result.verdict is Verdict.HOLDS and all(applied[step] for step in steps):
            break
    else:
        pytest.fail(f"not once applied and held: {result.verdict}, {applied}")
    assert {e.component for e in result.history.executions} <= {f"worker-{n}" for n in range(1, 6)}


def test_a_worker_that_ends_by_itself_comes_back_as_the_file_has_it(runner: ScheduleRunner) -> None:
    system = runner.lane.open(1)
    assert isinstance(system, ComposeSystem)
    with closing(system):
        os.kill(system.pid("worker-1"), signal.SIGKILL)
        deadline = time.monotonic() + DEADLINE_S
        gone: list[ProcessExit] = []
        while not gone or not system.worker_names():
            assert time.monotonic() < deadline, gone
            gone += system.exits()
            time.sleep(0.02)
        assert [ended.ordered for ended in gone] == [False]


def test_moments_come_without_a_change_of_image_or_file(runner: ScheduleRunner) -> None:
    before = (SHOP / "compose.yaml").read_bytes()
    _, requests = runner.trace(Schedule(workers=1, steps=(WORK, IDLE)))
    assert any(
        request.component == "worker-1" and request.event.startswith("UPDATE tasks")
        for request in requests
    )
    assert (SHOP / "compose.yaml").read_bytes() == before


def test_a_service_that_is_not_there_is_told_with_those_that_are(
    image: str, tmp_path: Path
) -> None:
    assert image
    for path in SHOP.iterdir():
        shutil.copy(path, tmp_path)
    profile = tmp_path / PROFILE.name
    profile.write_text(PROFILE.read_text().replace('worker = "jobs"', 'worker = "workers"'))
    with pytest.raises(UsageError, match=r"no service 'workers'.*\n.*api, db, jobs"):
        Setup(target=str(profile)).lane(0, tmp_path)


def test_fuzz_takes_a_profile_with_a_compose_file(
    image: str, engine: Engine, tmp_path: Path
) -> None:
    before = {thing.identity for thing in engine.things()}
    done = chaosfuzz(
        *(tmp_path, "fuzz", str(PROFILE), "--examples", "3", "--seed", "5", "--lanes", "1"),
        SHOP_IMAGE=image,
    )
    assert done.code == 0, done.out + done.err
    assert {thing.identity for thing in engine.things()} <= before


def test_a_killed_run_of_a_compose_file_leaves_nothing_after_clean(
    image: str, engine: Engine, tmp_path: Path
) -> None:
    before = {thing.identity for thing in engine.things()}
    command = [sys.executable, "-m", "chaosfuzz", "fuzz", str(PROFILE), "--lanes", "1"]
    fuzzing = subprocess.Popen(
        command, cwd=tmp_path, env={**os.environ, "SHOP_IMAGE": image}, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + UP_S
    while {thing.identity for thing in engine.things()} <= before:
        assert fuzzing.poll() is None, "it ended before anything was at the engine"
        assert time.monotonic() < deadline, f"nothing at the engine within {UP_S:g} s"
        with suppress(subprocess.TimeoutExpired):
            fuzzing.wait(LOOK_S)
    fuzzing.kill()
    fuzzing.wait()
    # Compose is in the middle of it, and need not have noticed.
    done = chaosfuzz(tmp_path, "clean")
    assert done.code == 0, done.out + done.err
    assert not processes_naming("override.json")
    assert {thing.identity for thing in engine.things()} <= before
