"""ChaosMachine as docs/hypothesis.md shows it: collected by pytest, planned first, run after."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
EXAMPLE = TOP / "docs/examples/chaos_machine/test_my_queue.py"
FAILING = """\
from hypothesis import settings
from chaosfuzz import ChaosMachine

class Broken(ChaosMachine):
    target = "simulated"
    defects = ("no-recovery",)

TestBroken = Broken.TestCase
TestBroken.settings = settings(max_examples=60, stateful_step_count=10)
"""
PROFILED = """\
from hypothesis import settings
from hypothesis.stateful import initialize, rule
from chaosfuzz import ChaosMachine

settings.register_profile("few", max_examples=7)
settings.load_profile("few")
planned = []

class Counted(ChaosMachine):
    target = "simulated"

    def teardown(self):
        planned.append(str(self.planned()))
        super().teardown()

TestCounted = Counted.TestCase

def test_the_profile_says_how_many():
    assert 0 < len(planned) <= 7
    print("PLANNED", planned)
"""


def pytest_in(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly")
    return subprocess.run(
        [*command, *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TOP), *sys.path])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.long
def test_the_example_holds_on_the_correct_system(tmp_path: Path):
    shutil.copy(EXAMPLE, tmp_path)
    done = pytest_in(tmp_path, "--hypothesis-seed=1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_a_failure_is_reduced_and_saved_as_a_case(tmp_path: Path):
    (tmp_path / "test_broken.py").write_text(FAILING)
    done = pytest_in(tmp_path, "--hypothesis-seed=3")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1. create_tasks(count=1)" in done.stdout
    assert "planned again with --hypothesis-seed=3" in done.stdout
    assert "Flaky" not in done.stdout
    (case,) = (tmp_path / "shrunk_cases").rglob("*.yaml")
    assert str(case.relative_to(tmp_path)) in done.stdout


@pytest.mark.long
def test_profiles_and_seeds_are_honoured(tmp_path: Path):
    (tmp_path / "test_counted.py").write_text(PROFILED)

    def planned(seed: int) -> str:
        done = pytest_in(tmp_path, f"--hypothesis-seed={seed}", "-s")
        assert done.returncode == 0, done.stdout + done.stderr
        return next(line for line in done.stdout.splitlines() if "PLANNED" in line)

    assert planned(1) == planned(1) != planned(2)
