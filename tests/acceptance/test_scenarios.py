"""`chaosfuzz scenario` as a user runs it: real processes, really killed."""

import contextlib
import csv
import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from acceptance.command import arguments_of, chaosfuzz, environment

DOCS = Path(__file__).parents[2] / "docs"
DEADLINE_S = 30.0
QUICK = ("--speed", "10", "--seed", "1")


def run_directory(directory: Path, parent: str = "chaosfuzz-runs") -> Path:
    (found,) = (directory / parent).iterdir()
    return found


def grades(document: dict[str, object]) -> dict[str, str]:
    results = document["results"]
    assert isinstance(results, list)
    return {result["name"]: result["grade"] for result in results}


def result_of(document: dict[str, object], name: str) -> dict[str, object]:
    results = document["results"]
    assert isinstance(results, list)
    (found,) = (result for result in results if result["name"] == name)
    return found


def test_scenarios_pass_with_kills_that_struck_work_and_leave_reports(tmp_path: Path):
    names = "worker-restart,multi-worker-chaos,dynamic-scaling"
    done = chaosfuzz(tmp_path, "scenario", names, *QUICK, "--json", "-")
    assert done.code == 0, done.err
    document = done.json
    assert document["verdict"] == "holds"
    assert set(grades(document)) == set(names.split(","))
    for name in ("worker-restart", "multi-worker-chaos"):
        metrics = result_of(document, name)["metrics"]
        assert isinstance(metrics, dict)
        assert metrics["strikes"]
        assert all(strike["tasks"] for strike in metrics["strikes"])
        assert metrics["reruns"] >= 1
        assert metrics["mean_recovery_s"] > 0
        assert metrics["api"]["of"] > 20
    phases = result_of(document, "dynamic-scaling")["metrics"]
    assert isinstance(phases, dict)
    assert {p["tag"]: p["completed"] for p in phases["phases"]} == {
        "dynamic_phase_1": {"good": 15, "of": 15},
        "dynamic_phase_2": {"good": 8, "of": 8},
    }
    assert "3 scenarios at level 1 (basic resilience), 3 passed, 0 failed" in done.err
    assert_reports(run_directory(tmp_path))


def assert_reports(directory: Path) -> None:
    written = {path.name for path in directory.iterdir()}
    assert {"run.json", "report.md", "junit.xml", "manifest.json", "scenario.log"} <= written
    suite = ET.parse(directory / "junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "0", "0")
    with (directory / "monitor-dynamic-scaling.csv").open() as stream:
        samples = list(csv.DictReader(stream))
    assert len(samples) >= 3
    assert all(int(sample["memory_bytes"]) > 0 for sample in samples)
    assert {int(sample["workers"]) for sample in samples} >= {2, 5}
    assert "SIGKILL" not in (directory / "scenario.log").read_text()
    assert "killed at" in (directory / "scenario.log").read_text()


@pytest.mark.long
def test_a_worker_whose_tasks_nobody_takes_back_fails_and_the_task_is_named(tmp_path: Path):
    names = "worker-restart,multi-worker-chaos"
    planted = ("--defect", "no-lease-recovery")
    done = chaosfuzz(tmp_path, "scenario", names, *planted, *QUICK, "--json", "-")
    assert done.code == 1, done.err
    assert grades(done.json) == {"worker-restart": "FAIL", "multi-worker-chaos": "FAIL"}
    for name in names.split(","):
        result = result_of(done.json, name)
        assert re.match(r"eventual_completion: task \d+ is still running", str(result["why"]))
        metrics = result["metrics"]
        assert isinstance(metrics, dict)
        struck = {number for strike in metrics["strikes"] for number in strike["tasks"]}
        failures = result["failures"]
        assert isinstance(failures, list)
        # A task that was claimed and not begun yet is lost, too, but was not struck at work.
        assert struck & {number for f in failures for number in f["tasks"]}


@pytest.mark.long
def test_a_health_that_lies_in_an_outage_fails(tmp_path: Path):
    planted = ("--defect", "health-always-ok")
    done = chaosfuzz(tmp_path, "scenario", "db-failure", *planted, *QUICK)
    assert done.code == 1, done.out
    assert "health_tells_the_truth" in done.out


@pytest.mark.long
def test_a_breaker_that_never_half_opens_fails(tmp_path: Path):
    planted = ("--defect", "breaker-never-half-opens", "--speed", "40")
    done = chaosfuzz(tmp_path, "scenario", "circuit-breaker", *planted, "--json", "-")
    assert done.code == 1, done.err
    criteria = result_of(done.json, "circuit-breaker")["criteria"]
    assert isinstance(criteria, list)
    marks = {each["name"]: each["mark"] for each in criteria}
    assert marks["breaker of probe_b open"] == "met"
    assert marks["breaker of probe_b half-open"] == "missed"


@pytest.mark.long
@pytest.mark.parametrize("level", ["1", "2"])
def test_the_correct_system_passes_all(tmp_path: Path, level: str):
    began = time.monotonic()
    done = chaosfuzz(tmp_path, "scenario", "all", "--level", level, *QUICK, "--json", "-")
    assert done.code == 0, done.err
    assert len(grades(done.json)) == 10
    turns = result_of(done.json, "circuit-breaker")["metrics"]
    assert isinstance(turns, dict)
    assert [t["after"] for t in turns["transitions"]][-1] == "closed"
    assert time.monotonic() - began < 120


@pytest.mark.long
def test_an_overload_loses_nothing(tmp_path: Path):
    named = ("multi-worker-chaos", "--level", "6")
    done = chaosfuzz(tmp_path, "scenario", *named, *QUICK, "--json", "-")
    assert done.code == 0, done.err
    metrics = result_of(done.json, "multi-worker-chaos")["metrics"]
    assert isinstance(metrics, dict)
    assert len(metrics["strikes"]) >= 3
    assert metrics["unfinished"] == 0
    in_time, completed = metrics["in_time"], metrics["completed"]
    assert completed["good"] + metrics["buried"] == completed["of"] > 2 * in_time["good"] > 0
    lost = chaosfuzz(tmp_path, "scenario", *named, *QUICK, "--defect", "no-lease-recovery")
    assert lost.code == 1, lost.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("all", "--level", "0"), "level 0 does not exist\n  use 1 (basic resilience) to 6"),
        (("all", "--level", "7"), "level 7 does not exist\n  use 1 (basic resilience) to 6"),
        (("wroker-restart",), "unknown scenario 'wroker-restart'\n  did you mean worker-restart?"),
        ((), "no scenario is named\n  name some, separated by commas, or all; --list shows them"),
        (("baseline", "--defect", "nothing"), "unknown defect 'nothing'"),
        (("baseline", "--speed", "0"), "0.1<=x<=100"),
        (("baseline", "--scenarios", "absent"), "absent: no such directory of scenarios"),
        (
            ("baseline", "--base-url", "http://example.com"),
            "which it cannot do to a server elsewhere",
        ),
    ],
)
def test_bad_input_is_told_in_one_message(tmp_path: Path, arguments: tuple[str, ...], told: str):
    done = chaosfuzz(tmp_path, "scenario", *arguments)
    assert done.code == 2
    assert told in done.err
    assert done.out == ""
    assert not (tmp_path / "chaosfuzz-runs").exists()


def test_a_busy_port_is_told_in_one_message(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = chaosfuzz(tmp_path, "scenario", "baseline", *QUICK, PORT=port)
    assert done.code == 3
    assert f"port {port} on 127.0.0.1 cannot be used: Address already in use" in done.err
    assert done.err.count("\n") == 2


@pytest.mark.long
def test_the_environment_is_honoured_and_flags_win(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    settings = {"OUTPUT_DIR": "elsewhere", "VERBOSE": "true", "PORT": "1"}
    named = ("task-flood", *QUICK, "--port", port)
    done = chaosfuzz(tmp_path, "scenario", *named, **settings)
    assert done.code == 0, done.out + done.err
    assert "create 20 tasks" in done.out
    assert run_directory(tmp_path, "elsewhere").is_dir()
    refused = chaosfuzz(tmp_path, "scenario", "baseline", BASE_URL="http://example.com")
    assert refused.code == 2
    assert "unset it" in refused.err


def start(directory: Path, *arguments: str, until: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        arguments_of("scenario", *arguments),
        cwd=directory,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    deadline = time.monotonic() + DEADLINE_S
    for line in process.stdout:
        if until in line:
            return process
        assert time.monotonic() < deadline
    raise AssertionError


def directories_of(pid: int) -> list[Path]:
    found = []
    for root in (Path("/dev/shm"), Path("/tmp")):
        for manifest in root.glob("chaosfuzz-*/manifest.json"):
            with contextlib.suppress(OSError, ValueError):
                if json.loads(manifest.read_text())["pid"] == pid:
                    found.append(manifest.parent)
    return found


def test_ctrl_c_cleans_up_and_still_reports_what_finished(tmp_path: Path):
    named = ("worker-restart,circuit-breaker", "--speed", "10")
    process = start(tmp_path, *named, until="1/2  worker-restart PASS")
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    assert "interrupted: 1 of 2 scenarios finished" in rest
    assert "PASS    worker-restart" in rest
    assert directories_of(process.pid) == []
    suite = ET.parse(run_directory(tmp_path) / "junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("errors")) == ("2", "1")


def test_what_a_killed_run_leaves_behind_is_found_by_clean(tmp_path: Path):
    process = start(tmp_path, "worker-restart", "--verbose", until="create 10 tasks")
    process.kill()
    process.wait(DEADLINE_S)
    assert process.stdout is not None
    process.stdout.close()
    left = directories_of(process.pid)
    assert left
    cleaned = chaosfuzz(tmp_path, "clean")
    assert cleaned.code == 0, cleaned.out
    assert directories_of(process.pid) == []
    assert not any(os.path.lexists(path) for path in left)


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text()
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    return [block for name, block in found if name == language]


def drop_in(directory: Path) -> None:
    (directory / "scenarios").mkdir()
    for block in blocks("scenarios.md", "toml") + blocks("scenarios.md", "python"):
        (name,) = re.findall(r"^# (scenarios/\S+)$", block, flags=re.MULTILINE)
        (directory / name).write_text(block)


@pytest.mark.long
def test_the_scenarios_of_the_documentation_can_be_dropped_in(tmp_path: Path):
    drop_in(tmp_path)
    listed = chaosfuzz(tmp_path, "scenario", "--list")
    assert listed.code == 0
    assert "two-outages" in listed.out
    assert "A worker is frozen beyond its lease and comes back (scenarios/" in listed.out
    (command,) = (b.strip() for b in blocks("scenarios.md", "") if "two-outages" in b)
    done = chaosfuzz(tmp_path, *command.removeprefix("chaosfuzz ").split())
    assert done.code == 0, done.out + done.err
    assert re.search(r"PASS +two-outages", done.out)
    assert re.search(r"PASS +frozen-worker", done.out)


@pytest.mark.long
def test_the_commands_of_the_documentation_work(tmp_path: Path):
    (listed,) = (block for block in blocks("scenarios.md", "") if "--list" in block)
    for line in listed.strip().splitlines():
        typed = line.removeprefix("chaosfuzz ").replace("scenario all", "scenario task-flood")
        done = chaosfuzz(tmp_path, *typed.split())
        assert done.code == 0, done.out + done.err


def test_a_custom_scenario_that_makes_no_sense_is_told_with_its_file(tmp_path: Path):
    (tmp_path / "scenarios").mkdir()
    text = 'summary = "x"\n[[phases]]\ndo = "create"\ncount = 0\n'
    (tmp_path / "scenarios" / "mine.toml").write_text(text)
    done = chaosfuzz(tmp_path, "scenario", "mine")
    assert done.code == 2
    assert "scenarios/mine.toml:4: phases[0].count=0 is out of range\n  use 1 to 1000" in done.err


def test_a_custom_scenario_whose_function_fails_is_an_error_not_a_pass(tmp_path: Path):
    (tmp_path / "scenarios").mkdir()
    text = (
        "from chaosfuzz.scenarios import Call, Program\n"
        "def plan(level):\n"
        "    return Program(workers=1, phases=(Call(function=boom),), deadline_s=5.0)\n"
        "def boom(stage):\n"
        "    raise KeyError('nothing')\n"
    )
    (tmp_path / "scenarios" / "mine.py").write_text(text)
    done = chaosfuzz(tmp_path, "scenario", "mine", *QUICK)
    assert done.code == 3, done.out
    assert "mine: the function of its phase Call failed: KeyError: 'nothing'; correct" in done.out


@pytest.mark.long
def test_the_commands_of_the_workflow_work(tmp_path: Path):
    (workflow,) = blocks("ci.md", "yaml")
    commands = [
        line.strip().removeprefix("- run: ")
        for line in workflow.splitlines()
        if "chaosfuzz " in line
    ]
    assert len(commands) == 5
    for command in commands:
        typed = command.removeprefix("chaosfuzz ").replace("--speed 10", "")
        typed = typed.replace("scenario all", "scenario task-flood --speed 10")
        typed = typed.replace("--time 2m", "--examples 2 --seed 1")
        done = chaosfuzz(tmp_path, *typed.split())
        assert done.code == 0, done.out + done.err
    assert len(list((tmp_path / "chaos-results").glob("*/report.md"))) == 3


@pytest.mark.long
def test_the_script_before_a_deployment_works(tmp_path: Path):
    (script,) = blocks("ci.md", "bash")
    (tmp_path / "deploy-validation.sh").write_text(script)
    command = tmp_path / "chaosfuzz"
    words = " ".join(arguments_of())
    command.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    command.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "deploy-validation.sh"],
        cwd=tmp_path,
        env=environment(PATH=path, SPEED="10"),
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all levels passed: ready to deploy" in done.stdout
