"""The commands with --on docker, as a user runs them."""

import json
from pathlib import Path

import pytest
from acceptance.command import chaosfuzz

from chaosfuzz.targets.docker.engine import Engine

CASES = Path(__file__).parents[2] / "shrunk_cases" / "reference"
GOAL_PER_MINUTE = 15
GOAL_RATIO = 4


def test_doctor_says_what_can_be_done_to_containers(engine: Engine, tmp_path: Path) -> None:
    done = chaosfuzz(tmp_path, "doctor")
    assert done.code == 0, done.err
    assert f"engine {engine.version}" in done.out
    assert "can do: network" in done.out


@pytest.mark.usefixtures("engine")
def test_a_case_found_on_processes_is_confirmed_with_both_rates(tmp_path: Path) -> None:
    case = CASES / "stuck-no-lease-recovery.yaml"
    done = chaosfuzz(tmp_path, "replay", str(case), "--on", "docker", "--times", "3")
    assert done.code == 1, done.err
    assert "on docker; when saved: 10 of 10 on process" in done.out


@pytest.mark.usefixtures("engine")
def test_what_is_found_on_containers_is_shrunk_on_processes_and_confirmed(tmp_path: Path) -> None:
    done = chaosfuzz(
        *(tmp_path, "fuzz", "--on", "docker", "--shrink-on", "process", "--lanes", "1"),
        *("--defect", "ack-before-run", "--seed", "1", "--time", "4m", "--moments", "clock"),
    )
    assert done.code == 1, done.out + done.err
    (case,) = tmp_path.glob("shrunk_cases/reference/*.yaml")
    assert "confirmed: {on: docker" in case.read_text()
    assert "on docker" in done.out


@pytest.mark.usefixtures("engine")
def test_the_correct_system_holds_under_drawn_container_faults(tmp_path: Path) -> None:
    done = chaosfuzz(
        *(tmp_path, "fuzz", "--on", "docker", "--examples", "20", "--seed", "11", "--lanes", "1"),
        *("--json", str(tmp_path / "summary.json")),
    )
    assert done.code == 0, done.out + done.err
    assert json.loads((tmp_path / "summary.json").read_text())["schedules"] == 20


def test_a_container_step_is_refused_on_processes(tmp_path: Path) -> None:
    text = (CASES / "stuck-no-lease-recovery.yaml").read_text()
    case = tmp_path / "case.yaml"
    case.write_text(text.replace("kill_worker: {worker: 1}", "disconnect_worker: {worker: 1}"))
    done = chaosfuzz(tmp_path, "replay", str(case))
    assert done.code == 2
    assert "use --on docker" in done.err


@pytest.mark.usefixtures("engine")
def test_warm_containers_reach_the_goal(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    done = chaosfuzz(
        *(tmp_path, "bench", "throughput", "--on", "docker"),
        *("--schedules", "10", "--json", str(out)),
    )
    assert done.code == 0, done.err
    measured = json.loads(out.read_text())
    assert measured["steps"] == 15
    assert measured["warm"]["per_minute"] >= GOAL_PER_MINUTE, measured
    assert measured["ratio"] >= GOAL_RATIO, measured
