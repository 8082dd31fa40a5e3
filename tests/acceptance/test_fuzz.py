"""`chaosfuzz fuzz` from the outside."""

import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from acceptance.command import arguments_of, chaosfuzz, environment, processes_naming

FOUND_AT_ONCE = "respond-before-commit"


def run_directory(directory: Path) -> Path:
    (run,) = (directory / "chaosfuzz-runs").iterdir()
    return run


def steps_drawn(directory: Path) -> list[str]:
    events = (run_directory(directory) / "events.jsonl").read_text().splitlines()
    return [e["step"] for e in map(json.loads, events) if e["event"] == "step"]


def test_correct_system_holds(tmp_path: Path) -> None:
    done = chaosfuzz(tmp_path, "fuzz", "--examples", "6", "--seed", "11", "--json", "-")
    assert done.code == 0, done.out + done.err
    assert done.json["verdict"] == "holds"
    assert done.json["schedules"] == 6
    assert done.json["failures"] == []
    assert "\x1b" not in done.err


def test_planted_defect_is_found_shrunk_saved_and_replayed(tmp_path: Path) -> None:
    done = chaosfuzz(
        tmp_path, "fuzz", "--defect", FOUND_AT_ONCE, "--time", "60s", "--seed", "2", "--json", "s"
    )
    assert done.code == 1, done.out + done.err
    summary = json.loads((tmp_path / "s").read_text())
    assert summary["schema"] == "chaosfuzz.summary/1"
    assert (summary["command"], summary["target"]) == ("fuzz", "reference")
    assert (summary["defects"], summary["verdict"]) == ([FOUND_AT_ONCE], "violated")
    (failure,) = summary["failures"]
    assert failure["signature"] == {"invariant": "no_lost_tasks", "kind": "LOST", "role": "server"}
    assert failure["steps"] == 1 <= failure["original_steps"]
    assert failure["violations"] >= 0.8 * failure["attempts"] > 0
    assert failure["case"] in done.out
    assert f"chaosfuzz replay {failure['case']}" in done.out
    assert "create_tasks" in done.out

    run = run_directory(tmp_path)
    assert json.loads((run / "run.json").read_text())["failures"] == [failure]
    for name in ("events.jsonl", "junit.xml", "report.html", "logs"):
        assert (run / name).exists(), name

    again = chaosfuzz(tmp_path, "replay", failure["case"], "--times", "3")
    assert again.code == 1, again.out
    assert again.out.count("violated") >= 2
    assert "is nowhere" in again.out
    assert "what happened in try 1:" in again.out

    mended = chaosfuzz(
        tmp_path, "replay", failure["case"], "--times", "3", "--defect", "none", "--json", "-"
    )
    assert mended.code == 0, mended.err
    assert mended.json["verdict"] == "holds"

    listed = chaosfuzz(tmp_path, "cases")
    assert failure["case"] in listed.out

    shrunk = chaosfuzz(tmp_path, "shrink", failure["case"], "--budget", "60")
    assert shrunk.code == 0, shrunk.err
    assert "create_tasks" in shrunk.out


@pytest.mark.long
def test_no_shrink_saves_the_steps_that_ran(tmp_path: Path) -> None:
    done = chaosfuzz(
        tmp_path, "fuzz", "--defect", FOUND_AT_ONCE, "--seed", "2", "--no-shrink", "--json", "-"
    )
    assert done.code == 1
    (failure,) = done.json["failures"]  # type: ignore[misc]
    assert failure["steps"] <= failure["original_steps"]  # type: ignore[index]
    assert failure["executions_to_shrink"] == 0  # type: ignore[index]


@pytest.mark.long
def test_seed_gives_the_same_schedules_again(tmp_path: Path) -> None:
    drawn = []
    for name in ("first", "second"):
        directory = tmp_path / name
        directory.mkdir()
        done = chaosfuzz(directory, "fuzz", "--examples", "3", "--seed", "9", "--lanes", "1")
        assert done.code == 0, done.out + done.err
        drawn.append(steps_drawn(directory))
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) > 3


@pytest.mark.long
def test_exactly_once_effect_holds(tmp_path: Path) -> None:
    done = chaosfuzz(
        tmp_path, "fuzz", "--contract", "exactly-once-effect", "--examples", "4", "--seed", "5"
    )
    assert done.code == 0, done.out + done.err


@pytest.mark.long
def test_simulated_target_is_fast_and_finds(tmp_path: Path) -> None:
    correct = chaosfuzz(tmp_path, "fuzz", "simulated", "--examples", "300", "--json", "-")
    assert correct.code == 0, correct.err
    assert correct.json["schedules"] == 300
    listed = chaosfuzz(tmp_path, "defects", "simulated").out.splitlines()
    name = next(line for line in listed if not line.startswith(" "))
    broken = chaosfuzz(tmp_path, "fuzz", "simulated", "--defect", name, "--examples", "3000")
    assert broken.code == 1, broken.out + broken.err


DROPPED_IN = '''
from chaosfuzz.domain import Finding, invariant


@invariant(kind="DEGRADED")
def nothing_ever_runs(view):
    """No task is executed at all."""
    for task in view.tasks:
        if task.executions:
            yield Finding(message=f"task {task.number} ran", tasks=(task.number,))
'''


@pytest.mark.long
def test_invariant_dropped_in_is_checked(tmp_path: Path) -> None:
    (tmp_path / "invariants").mkdir()
    (tmp_path / "invariants" / "nothing_ever_runs.py").write_text(DROPPED_IN)
    assert "nothing_ever_runs" in chaosfuzz(tmp_path, "invariants").out
    done = chaosfuzz(tmp_path, "fuzz", "--examples", "5", "--seed", "1", "--json", "-")
    assert done.code == 1, done.err
    (failure,) = done.json["failures"]  # type: ignore[misc]
    assert failure["signature"]["invariant"] == "nothing_ever_runs"  # type: ignore[index]
    assert failure["steps"] == 1  # type: ignore[index]


@pytest.mark.long
def test_invariant_that_crashes_makes_the_run_unknown(tmp_path: Path) -> None:
    (tmp_path / "invariants").mkdir()
    crashing = DROPPED_IN.replace("if task.executions:", "if 1 / 0:")
    (tmp_path / "invariants" / "crashing.py").write_text(crashing)
    done = chaosfuzz(tmp_path, "fuzz", "--examples", "1", "--seed", "1", "--json", "-")
    assert done.code == 3
    assert done.json["verdict"] == "unknown"
    assert "ZeroDivisionError" in str(done.json["message"])


@pytest.fixture
def running(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        arguments_of("fuzz", "--time", "100s", "--seed", "3"),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    yield process
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def wait_for_steps(directory: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        logs = list((directory / "chaosfuzz-runs").glob("*/events.jsonl"))
        if logs and logs[0].read_text().count('"step"') >= count:
            return
        time.sleep(0.02)
    raise AssertionError("no steps were run in 60 s")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_stops_cleanly_and_saves(
    tmp_path: Path, running: "subprocess.Popen[str]", number: signal.Signals
) -> None:
    wait_for_steps(tmp_path, 10)
    running.send_signal(number)
    out, _ = running.communicate(timeout=60)
    assert running.returncode == 130, out
    assert "Traceback" not in out
    assert "interrupted" in out
    summary = json.loads((run_directory(tmp_path) / "run.json").read_text())
    assert summary["verdict"] in {"holds", "unknown"}
    assert processes_naming(str(tmp_path)) == []


def test_terminal_shows_a_live_line_and_ctrl_c_in_it_is_clean(tmp_path: Path) -> None:
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(tmp_path)
        arguments = arguments_of("fuzz", "--time", "100s", "--seed", "3")
        os.execvpe(arguments[0], arguments, environment(TERM="xterm-256color"))
    shown = ""
    deadline = time.monotonic() + 90
    interrupted = False
    while time.monotonic() < deadline:
        try:
            shown += os.read(terminal, 65536).decode(errors="replace")
        except OSError:
            break
        if not interrupted and "states" in shown and "left" in shown:
            os.write(terminal, b"\x03")
            interrupted = True
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    assert interrupted, shown
    assert os.waitstatus_to_exitcode(status) == 130, shown
    assert "/min" in shown
    assert "Traceback" not in shown
