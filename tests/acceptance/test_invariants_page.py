"""The invariant that docs/invariants.md shows can be tested, listed and fuzzed with as it says."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from acceptance.command import chaosfuzz

from chaosfuzz.domain import Kind, View
from chaosfuzz.testing import HistoryBuilder

PAGE = (Path(__file__).parents[2] / "docs/invariants.md").read_text()
# A reader has five minutes; a test has seconds.
SHORTER = {"--time 5m": "--examples 2 --seed 1"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for text in blocks("python"):
        path = tmp_path / text.split("\n")[0].removeprefix("# ")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def commands() -> list[str]:
    (listed,) = blocks("sh")
    return listed.splitlines()


def test_the_tests_shown_pass(place: Path) -> None:
    command = commands()[0].split()
    assert command[:3] == ["python", "-m", "pytest"]
    done = subprocess.run(
        [sys.executable, *command[1:]], cwd=place, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


def test_the_invariant_is_listed(place: Path) -> None:
    assert commands()[1] == "chaosfuzz invariants"
    assert "urgent_tasks_start_soon" in chaosfuzz(place, "invariants").out


@pytest.mark.long
def test_the_invariant_holds_in_a_search(place: Path) -> None:
    command = commands()[2].removeprefix("chaosfuzz ")
    for long, short in SHORTER.items():
        command = command.replace(long, short)
    done = chaosfuzz(place, *command.split())
    assert done.code == 0, done.out + done.err


@pytest.mark.parametrize("shown", [View, HistoryBuilder])
def test_the_page_names_every_helper(shown: type) -> None:
    public = {name for name, _ in inspect.getmembers(shown) if not name.startswith("_")}
    named = set(re.findall(r"`\.?(\w+)", PAGE))
    assert len(public) >= 10
    assert public <= named, public - named


def test_the_page_names_every_kind() -> None:
    assert {kind.value for kind in Kind} <= set(re.findall(r"[A-Z_]{3,}", PAGE))
