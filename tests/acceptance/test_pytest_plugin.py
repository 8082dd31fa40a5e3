"""Saved cases as tests."""

import subprocess
import sys
from pathlib import Path

import pytest
from acceptance.command import environment
from acceptance.test_bad_input import CASE


def pytest_in(directory: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=directory,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def save(directory: Path, name: str, text: str) -> None:
    folder = directory / "shrunk_cases" / "reference"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def with_defect(expect: str) -> str:
    planted = CASE.replace("defects: []", "defects: [respond-before-commit]")
    return planted.replace("workers: 1", f"expect: {expect}\nworkers: 1")


CLAIM = "UPDATE tasks SET status='running' WITH state='open', state='half~93ae [35426ab3]"
STALE = "DELETE FROM no_such_table [00000000]"


def striking_at(event: str, expect: str) -> str:
    step = f"  - kill_worker: {{worker: 1, at: {{before: {event!r}, nth: 1}}}}\n"
    return CASE.replace("workers: 1", f"expect: {expect}\nworkers: 1") + step


@pytest.mark.long
def test_cases_are_judged_by_what_they_expect(tmp_path: Path) -> None:
    save(tmp_path, "mended.yaml", CASE)
    save(tmp_path, "known.yaml", with_defect("violated"))
    save(tmp_path, "back.yaml", with_defect("holds"))
    save(tmp_path, "gone.yaml", CASE.replace("workers: 1", "expect: violated\nworkers: 1"))
    save(tmp_path, "broken.yaml", "nonsense")
    done = pytest_in(tmp_path, "-q")
    assert "3 failed, 2 passed" in done.stdout, done.stdout
    assert "task 1 was accepted and is nowhere" in done.stdout
    assert "showed in 0 of 8 runs, when saved in 20 of 20" in done.stdout
    assert "broken.yaml" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.long
def test_a_case_whose_request_is_no_longer_made_fails_with_the_remedy(tmp_path: Path) -> None:
    save(tmp_path, "stale.yaml", striking_at(STALE, "holds"))
    save(tmp_path, "stale-violated.yaml", striking_at(STALE, "violated"))
    done = pytest_in(tmp_path, "-q")
    assert "2 failed" in done.stdout, done.stdout
    assert "no longer makes the request of the moment before DELETE" in done.stdout
    assert "chaosfuzz cases refresh " in done.stdout


@pytest.mark.long
def test_a_moment_that_does_not_come_though_the_request_is_made_is_undecided(
    tmp_path: Path,
) -> None:
    late = striking_at(CLAIM, "holds")
    save(tmp_path, "late.yaml", late.replace("nth: 1", "nth: 900"))
    done = pytest_in(tmp_path, "-q", "-rs")
    assert "1 skipped" in done.stdout, done.stdout
    assert "the moment of step 2 never came in 3 of 3 runs" in done.stdout


def test_too_few_runs_to_tell_are_said(tmp_path: Path) -> None:
    rare = CASE.replace("violations: 20", "violations: 1")
    save(tmp_path, "rare.yaml", rare)
    save(tmp_path, "gone.yaml", CASE.replace("workers: 1", "expect: violated\nworkers: 1"))
    done = pytest_in(tmp_path, "--chaosfuzz-tries", "2", "-q", "-rs")
    assert "1 passed, 1 skipped" in done.stdout, done.stdout
    assert "2 runs would show the failure with a probability of 13% only" in done.stdout
    assert "too few runs to tell whether the rate has fallen" in done.stdout


def test_cases_are_collected_beside_the_tests_of_a_project(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\ntestpaths = ["tests"]\n')
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_own.py").write_text("def test_own():\n    assert True\n")
    save(tmp_path, "mended.yaml", CASE)
    done = pytest_in(tmp_path, "--collect-only", "-q")
    assert "test_own" in done.stdout
    assert "mended.yaml" in done.stdout
