"""What killed runs leave at the engine, and that one `chaosfuzz clean` removes it."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chaosfuzz.cli import run
from chaosfuzz.targets.docker.engine import Engine
from chaosfuzz.targets.docker.labels import owner_of

ROOT = Path(__file__).resolve().parents[2]
KILLED_RUNS = 20
LANE = """
import sys
from pathlib import Path
from chaosfuzz.campaign.wiring import Setup
lane = Setup(on="docker").lane(0, Path(sys.argv[1]))
while True:
    system = lane.open(2)
    print("open", flush=True)
    system.pause("worker-1")
    system.kill("worker-2", graceful=False)
    system.unplug("worker-1")
    system.stop_database("immediate")
    system.start_database()
    system.close()
"""


def start_lane(logs: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", LANE, str(logs)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def kill(lane: subprocess.Popen[str]) -> None:
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
        lane = start_lane(tmp_path)
        pids.add(lane.pid)
        time.sleep(random.Random(number).uniform(0.5, 6.0))
        assert lane.poll() is None
        kill(lane)
    assert left_of(engine, pids), "no run was killed with anything at the engine"
    assert run(["clean"]) == 0
    assert not left_of(engine, pids)


def test_a_live_run_is_left_alone_and_a_dry_run_removes_nothing(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lane = start_lane(tmp_path)
    assert lane.stdout is not None
    assert lane.stdout.readline() == "open\n"
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
