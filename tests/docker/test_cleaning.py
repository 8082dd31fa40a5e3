"""What killed runs leave at the engine, and that one `chaosfuzz clean` removes it."""

import os
import random
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from chaosfuzz.cli import run
from chaosfuzz.targets.docker.engine import Engine
from chaosfuzz.targets.docker.things import owner_of

ROOT = Path(__file__).resolve().parents[2]
KILLED_RUNS = 20
LANE = """
import sys
from pathlib import Path
from chaosfuzz.campaign.wiring import Setup
print("starts", flush=True)
lane = Setup(on="docker").lane(0, Path(sys.argv[1]))
print("has its engine", flush=True)
while True:
    system = lane.open(2)
    print("open", flush=True)
    system.pause("worker-1")
    print("paused", flush=True)
    system.kill("worker-2", graceful=False)
    print("killed", flush=True)
    system.unplug("worker-1")
    print("unplugged", flush=True)
    system.stop_database("immediate")
    print("stopped", flush=True)
    system.start_database()
    print("started", flush=True)
    system.close()
    print("closed", flush=True)
"""
MOMENTS_OF_A_LANE = 12
JUST_AFTER_S = 0.5
PATIENCE_S = 60.0


def start_lane(logs: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", LANE, str(logs)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        bufsize=0,
    )


def await_line(lane: subprocess.Popen[bytes]) -> bytes:
    assert lane.stdout is not None
    ready, _, _ = select.select([lane.stdout], [], [], PATIENCE_S)
    assert ready, f"the lane has said nothing for {PATIENCE_S} s"
    line = lane.stdout.readline()
    assert line, f"the lane ended by itself, with {lane.wait()}"
    return line


def kill(lane: subprocess.Popen[bytes]) -> None:
    lane.send_signal(signal.SIGKILL)
    lane.wait()
    assert lane.stdout is not None
    lane.stdout.close()


def left_of(engine: Engine, pids: set[int]) -> list[str]:
    owned = ((thing, owner_of(thing.labels)) for thing in engine.things())
    return [f"{t.kind} {t.name}" for t, owner in owned if owner is not None and owner.pid in pids]


def test_runs_killed_anywhere_leave_nothing_after_one_clean(engine: Engine, tmp_path: Path) -> None:
    pids = set()
    for number in range(KILLED_RUNS):
        draw = random.Random(number)
        lane = start_lane(tmp_path)
        pids.add(lane.pid)
        for _ in range(draw.randint(1, MOMENTS_OF_A_LANE)):
            await_line(lane)
        # Between two lines too, wherever it is by then.
        with suppress(subprocess.TimeoutExpired):
            lane.wait(draw.uniform(0.0, JUST_AFTER_S))
        kill(lane)
        assert lane.returncode == -signal.SIGKILL
    assert left_of(engine, pids), "no run was killed with anything at the engine"
    assert run(["clean"]) == 0
    assert not left_of(engine, pids)


def test_a_live_run_is_left_alone_and_a_dry_run_removes_nothing(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lane = start_lane(tmp_path)
    while await_line(lane) != b"open\n":
        pass
    alive = left_of(engine, {lane.pid})
    assert alive
    assert run(["clean"]) == 0
    assert lane.poll() is None
    assert set(alive) <= set(left_of(engine, {lane.pid}))
    kill(lane)
    capsys.readouterr()
    assert run(["clean", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert all(f"would remove {each}" in said for each in alive)
    assert left_of(engine, {lane.pid})
    assert run(["clean"]) == 0
    assert not left_of(engine, {lane.pid})
