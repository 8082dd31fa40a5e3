"""What README.md tells a newcomer to type works."""

import re
import shutil
from pathlib import Path

import pytest
from acceptance.command import chaosfuzz

TOP = Path(__file__).parents[2]
README = (TOP / "README.md").read_text()
MINI = TOP / "tests/integration/targets/mini"
CASE = "shrunk_cases/reference/lost-respond-before-commit.yaml"
# A newcomer has ten minutes; a test has seconds.
SHORTER = {
    "--time 10m": "--examples 2 --seed 1",
    "simulated --examples 2000": "simulated --examples 50",
    "--times 20": "--times 2",
    "shrink CASE": "shrink CASE --budget 40",
    "scenario all": "scenario task-flood",
    "bench throughput": "bench throughput --schedules 1",
    "bench moments": "bench moments --schedules 1",
}
# Each is run by another test as well, with more to say about it.
TAKE_LONG = ("bench", "sweep", "fuzz --defect", "shrink")
EXITS = {"fuzz --defect": 1, "replay CASE": 1}


def blocks(language: str) -> list[str]:
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)
    return [text for spoken, text in fences if spoken == language]


def commands() -> list[str]:
    (listed,) = (block for block in blocks("") if block.startswith("chaosfuzz fuzz --time"))
    found = []
    for line in listed.splitlines():
        command = re.split(r"\s{2,}", line)[0].removeprefix("chaosfuzz ")
        found += command.split(" | ")
    assert len(found) >= 12
    return found


def parameters() -> list[object]:
    return [
        pytest.param(command, marks=pytest.mark.long) if command.startswith(TAKE_LONG) else command
        for command in commands()
    ]


@pytest.mark.parametrize("command", parameters())
def test_command_works(tmp_path: Path, command: str) -> None:
    shutil.copytree(TOP / "shrunk_cases", tmp_path / "shrunk_cases")
    typed = command
    for long, short in SHORTER.items():
        typed = typed.replace(long, short)
    done = chaosfuzz(tmp_path, *typed.replace("CASE", CASE).split())
    expected = next((code for start, code in EXITS.items() if command.startswith(start)), 0)
    assert done.code == expected, done.out + done.err
    assert done.out


@pytest.mark.long
def test_what_is_done_by_hand_works_in_its_order(tmp_path: Path) -> None:
    (listed,) = (block for block in blocks("") if block.startswith("chaosfuzz up"))
    lines = [re.split(r"\s{2,}", line)[0] for line in listed.splitlines()]
    assert len(lines) >= 8
    try:
        for line in lines:
            arguments = line.removeprefix("chaosfuzz ").split()
            more = ["--port", "0"] if arguments[0] == "up" else []
            done = chaosfuzz(tmp_path, *arguments, *more)
            assert done.code == 0, f"{line}: {done.out}{done.err}"
            assert done.out
    finally:
        chaosfuzz(tmp_path, "down")


def test_the_test_command_is_what_ci_runs() -> None:
    assert "pip install -e '.[test]' && pytest\n" in blocks("")
    script = (TOP / ".ci" / "run").read_text()
    assert "-e '.[test]' && pytest" in script


@pytest.mark.long
def test_the_first_command_finds_the_defect_that_it_plants(tmp_path: Path) -> None:
    (start,) = (block for block in blocks("") if block.startswith("pip install -e . "))
    install, command = start.strip().split(" && ")
    assert install == "pip install -e ."
    done = chaosfuzz(tmp_path, *command.removeprefix("chaosfuzz ").split())
    assert done.code == 1, done.out + done.err
    assert "  1. create_tasks(count=1" in done.out
    assert "  2. kill_worker(worker=1)" in done.out


@pytest.mark.long
def test_the_steps_for_a_queue_of_ones_own_work_in_their_order(tmp_path: Path) -> None:
    (listed,) = (block for block in blocks("") if block.startswith("chaosfuzz profile new"))
    new, check, fuzz = (
        re.split(r"\s{2,}", line)[0].removeprefix("chaosfuzz ").split()
        for line in listed.strip().splitlines()
    )
    written = chaosfuzz(tmp_path, *new, typed=10 * "\n")
    assert written.code == 0, written.out + written.err
    # In place of the system that the answers would describe, one that is there.
    shutil.copytree(MINI, tmp_path, dirs_exist_ok=True)
    (tmp_path / "profile.toml").replace(tmp_path / new[-1])
    checked = chaosfuzz(tmp_path, *check)
    assert checked.code == 0, checked.out + checked.err
    searched = chaosfuzz(tmp_path, *fuzz, "--examples", "2", "--no-faults", "--seed", "1")
    assert searched.code == 0, searched.out + searched.err
    assert searched.out.splitlines()[-2].startswith("holds: no promise was broken; 2 schedules, ")
    assert searched.out.splitlines()[-1] == "next    chaosfuzz fuzz mysystem.toml --time 10m"


@pytest.mark.long
def test_invariant_shown_can_be_dropped_in(tmp_path: Path) -> None:
    (text,) = blocks("python")
    name = re.findall(r"# (invariants/\w+\.py)", text)[0]
    (tmp_path / "invariants").mkdir()
    (tmp_path / name).write_text(text)
    listed = chaosfuzz(tmp_path, "invariants")
    assert Path(name).stem in listed.out
    done = chaosfuzz(tmp_path, "fuzz", "--examples", "2", "--seed", "1")
    assert done.code == 0, done.out + done.err


def test_defects_it_counts_are_there(tmp_path: Path) -> None:
    listed = [line for line in chaosfuzz(tmp_path, "defects").out.splitlines() if line[0] != " "]
    assert f"{len(listed)} realistic defects" in README.replace("\n", " ")
