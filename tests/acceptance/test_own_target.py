"""The worked example of docs/targets.md is run: by its own test, by name, and to its failure."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from acceptance.command import chaosfuzz

TOP = Path(__file__).parents[2]
TEXT = (TOP / "docs/targets.md").read_text()


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the document, installed as pip would tell it."""
    directory = tmp_path_factory.mktemp("spool")
    for name, content in re.findall(r"`(\w+\.py)`[^\n]*:\n\n```python\n(.*?)```", TEXT, re.DOTALL):
        (directory / name).write_text(content)
    (entries,) = re.findall(
        r"```toml\n\[project.entry-points.\"(.*?)\"\]\n(.*?)```", TEXT, re.DOTALL
    )
    installed = directory / "spool-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: spool\nVersion: 1.0\n")
    target = entries[1].replace('"', "")
    (installed / "entry_points.txt").write_text(f"[{entries[0]}]\n{target}")
    return directory


@pytest.mark.long
def test_it_is_listed_and_fuzzed_by_name_and_its_bug_is_found(example: Path, tmp_path: Path):
    path = {"PYTHONPATH": str(example)}
    assert "spool" in chaosfuzz(tmp_path, "targets", **path).out
    limits = ("--seed", "1", "--time", "3m", "--invariant", "eventual_completion")
    done = chaosfuzz(tmp_path, "fuzz", "spool", *limits, "--no-shrink", **path)
    assert done.code == 1, done.out + done.err
    assert "eventual_completion (STUCK, worker)" in done.out
    (case,) = (tmp_path / "shrunk_cases/spool").glob("*.yaml")
    assert chaosfuzz(tmp_path, "replay", str(case), "--times", "1", **path).code == 1
    assert "unknown target 'spool'" in chaosfuzz(tmp_path, "replay", str(case)).err


@pytest.mark.long
def test_it_conforms(example: Path):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_spool.py"],
        cwd=example,
        env={**os.environ, "PYTHONPATH": str(example)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"\d+ passed", done.stdout)


@pytest.mark.long
def test_undisturbed_it_holds(example: Path, tmp_path: Path):
    arguments = ("fuzz", "spool", "--no-faults", "--examples", "20", "--seed", "1")
    done = chaosfuzz(tmp_path, *arguments, PYTHONPATH=str(example))
    assert done.code == 0, done.out + done.err
    assert " 0 faults" in done.out
