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


@pytest.mark.long
def test_cases_are_judged_by_what_they_expect(tmp_path: Path) -> None:
    save(tmp_path, "mended.yaml", CASE)
    save(tmp_path, "known.yaml", with_defect("violated"))
    save(tmp_path, "back.yaml", with_defect("holds"))
    save(tmp_path, "gone.yaml", CASE.replace("workers: 1", "expect: violated\nworkers: 1"))
    save(tmp_path, "broken.yaml", "nonsense")
    done = pytest_in(tmp_path, "--chaosfuzz-tries", "2", "-q")
    assert "3 failed, 2 passed" in done.stdout, done.stdout
    assert "task 1 was accepted and is nowhere" in done.stdout
    assert "did not show in 2 tries" in done.stdout
    assert "broken.yaml" in done.stdout
    assert "Traceback" not in done.stdout


def test_cases_are_collected_beside_the_tests_of_a_project(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\ntestpaths = ["tests"]\n')
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_own.py").write_text("def test_own():\n    assert True\n")
    save(tmp_path, "mended.yaml", CASE)
    done = pytest_in(tmp_path, "--collect-only", "-q")
    assert "test_own" in done.stdout
    assert "mended.yaml" in done.stdout
