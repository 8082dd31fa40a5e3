"""Saved cases from the outside: the page on them, judging, refreshing."""

import re
import shutil
from pathlib import Path

import pytest
from acceptance.command import chaosfuzz
from acceptance.test_pytest_plugin import STALE, pytest_in

TOP = Path(__file__).parents[2]
PAGE = (TOP / "docs/cases.md").read_text()
STRIKING = TOP / "shrunk_cases/reference/state-regression-commit-reply-lost-reruns.yaml"
OLD = "UPDATE tasks SET status='completed' WITH status='running', state~021d [121efac2]"
# What a version of the system that words its statement otherwise would have made of it.
FORMER = "UPDATE tasks SET status='completed' WITH status='active', state~5555 [00000000]"
EXITS = {"replay CASE": 1}


def block(language: str, start: str = "") -> str:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
    (found,) = (text for kind, text in blocks if kind == language and text.startswith(start))
    return found


def lines(start: str) -> list[str]:
    shown = block("", start).splitlines()
    return [re.split(r"\s{2,}", line)[0].removeprefix("chaosfuzz ") for line in shown]


def commands() -> list[object]:
    slow = "cases refresh CASE"
    listed = lines("chaosfuzz cases")
    assert slow in listed
    return [pytest.param(each, marks=pytest.mark.long) if each == slow else each for each in listed]


@pytest.fixture
def case(tmp_path: Path) -> Path:
    folder = tmp_path / "shrunk_cases" / "reference"
    folder.mkdir(parents=True)
    return Path(shutil.copy(STRIKING, folder / "case.yaml"))


def rename(case: Path, new: str) -> None:
    text = case.read_text()
    quoted = OLD.replace("'", "''")
    assert quoted in text
    case.write_text(text.replace(quoted, new.replace("'", "''")))


@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_page_works(tmp_path: Path, case: Path, command: str):
    done = chaosfuzz(tmp_path, *command.replace("CASE", str(case)).split())
    assert done.code == EXITS.get(command, 0), done.out + done.err
    assert done.out


@pytest.mark.long
def test_the_case_of_the_page_is_judged_by_replay_and_pytest(tmp_path: Path):
    folder = tmp_path / "shrunk_cases"
    folder.mkdir()
    (folder / "mine.yaml").write_text(block("yaml"))
    done = chaosfuzz(tmp_path, "replay", "shrunk_cases/mine.yaml", "--judge")
    assert done.code == 0, done.out + done.err
    assert "as expected: any failure did not show in 3 runs" in done.out
    for command in lines("pytest"):
        more = [] if "tries" not in command else ["--chaosfuzz-tries", "1"]
        tested = pytest_in(tmp_path, *command.split()[1:], *more)
        assert "1 passed" in tested.stdout, tested.stdout


@pytest.mark.long
def test_refresh_finds_the_new_name_and_changes_nothing_else(tmp_path: Path, case: Path):
    original = case.read_text()
    rename(case, FORMER)
    case.write_text(case.read_text() + "# a comment of mine\n")
    done = chaosfuzz(tmp_path, "replay", str(case), "--judge")
    assert done.code == 1, done.out + done.err
    assert "stale: reference no longer makes the request" in done.out
    done = chaosfuzz(tmp_path, "cases", "refresh", str(case))
    assert done.code == 0, done.out + done.err
    assert f"now  {OLD}" in done.out
    assert case.read_text() == original + "# a comment of mine\n"


@pytest.mark.long
def test_refresh_asks_if_no_name_is_near_and_takes_the_one_that_is_given(
    tmp_path: Path, case: Path
):
    original = case.read_text()
    rename(case, STALE)
    stale = case.read_text()
    done = chaosfuzz(tmp_path, "cases", "refresh", str(case))
    assert done.code == 2, done.out + done.err
    assert "choose one with --moment NAME" in done.err
    assert OLD in done.err
    done = chaosfuzz(tmp_path, "cases", "refresh", str(case), "--moment", "INSERT nothing")
    assert done.code == 2, done.out + done.err
    assert case.read_text() == stale
    done = chaosfuzz(tmp_path, "cases", "refresh", str(case), "--moment", OLD)
    assert done.code == 0, done.out + done.err
    assert case.read_text() == original


@pytest.mark.long
def test_refresh_changes_nothing_if_the_failure_does_not_show(tmp_path: Path, case: Path):
    rename(case, FORMER)
    stale = case.read_text().replace("[commit-reply-lost-reruns]", "[]")
    case.write_text(stale)
    done = chaosfuzz(tmp_path, "cases", "refresh", str(case))
    assert done.code == 1, done.out + done.err
    assert "not as expected" in done.out
    assert case.read_text() == stale
