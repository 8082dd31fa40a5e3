"""`chaosfuzz bench throughput`, as a user runs it. Nothing here is about speed."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chaosfuzz.bench.throughput import PHASES, compose

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-c", "from chaosfuzz.cli import main; main()", "bench", "throughput"]


@pytest.mark.parametrize("seed", range(30))
def test_schedules_have_15_steps_with_a_server_restart_and_a_database_stop(seed: int) -> None:
    schedule = compose(seed)
    actions = [step.action for step in schedule.steps]
    assert len(actions) == 15
    assert schedule.workers == 2
    assert {"stop_database", "start_database", "kill_server", "start_server"} <= set(actions)
    assert schedule == compose(seed)


@pytest.mark.long
def test_throughput_prints_a_breakdown_and_json(tmp_path: Path) -> None:
    document = tmp_path / "throughput.json"
    done = subprocess.run(
        [*COMMAND, "--schedules", "2", "--json", str(document)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for phase in PHASES:
        assert phase in done.stdout
    measured = json.loads(document.read_text())
    assert measured["schema"] == "chaosfuzz.throughput/1"
    assert measured["warm"]["schedules"] == measured["cold"]["schedules"] == 2
    assert set(measured["warm"]["mean_s"]) == set(PHASES)
    assert measured["ratio"] > 0


def test_ctrl_c_ends_it_without_a_traceback() -> None:
    with subprocess.Popen(
        [*COMMAND, "--schedules", "100"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        # Said once the handler of the signal is in place.
        assert "each warm and cold" in running.stdout.readline()
        running.send_signal(signal.SIGINT)
        said, complained = running.communicate(timeout=60)
    assert running.returncode == 130, complained
    assert "no process is left running" in said
    assert "Traceback" not in complained
