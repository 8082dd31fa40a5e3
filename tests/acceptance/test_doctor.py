"""`chaosfuzz doctor`: what it says about a machine that can fuzz and about ones that cannot."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from chaosfuzz.cli import run
from chaosfuzz.targets.postgres import find_leftovers
from chaosfuzz.targets.postgres.locator import ENVIRONMENT_VARIABLE

ROOT = Path(__file__).resolve().parents[2]


def test_a_machine_that_can_fuzz(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    document = tmp_path / "doctor.json"
    assert run(["doctor", "--json", str(document)]) == 0
    said = capsys.readouterr().out
    assert "chaosfuzz fuzz can run" in said
    assert "broken" not in said
    found = json.loads(document.read_text())
    assert found["schema"] == "chaosfuzz.doctor/1"
    assert found["can_fuzz"] is True
    assert {finding["name"] for finding in found["findings"]} >= {"python", "postgresql", "cluster"}
    assert not any(left.manifest and left.manifest.pid == os.getpid() for left in find_leftovers())


def test_json_on_stdout_is_alone_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--json", "-"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["can_fuzz"] is True
    assert "ok       python" in said.err


def test_no_postgresql_where_it_was_said_to_be(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(tmp_path / "nowhere"))
    assert run(["doctor"]) == 3
    said = capsys.readouterr().out
    assert f"broken   postgresql: {tmp_path}/nowhere has no executable initdb and postgres" in said
    assert f"name a bin directory by {ENVIRONMENT_VARIABLE}, or unset it" in said
    assert "cannot run" in said


@pytest.mark.parametrize(
    "arguments", [["fuzz", "--examples", "1"], ["bench", "throughput", "--schedules", "1"]]
)
def test_commands_without_postgresql_say_so_and_leave_nothing(
    arguments: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(tmp_path / "nowhere"))
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 3
    assert f"{tmp_path}/nowhere has no executable initdb and postgres" in capsys.readouterr().err


mounts = pytest.mark.skipif(
    os.geteuid() != 0
    or shutil.which("unshare") is None
    or subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"],
        capture_output=True,
        check=False,
    ).returncode
    != 0,
    reason="needs root with the right to mount",
)


def in_place(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run chaosfuzz after a shell script that mounts, in a mount namespace of its own.

    There /dev/shm is too small, so that TMPDIR, /mnt/place, holds the runtime directories.
    """
    shell = f"""
    mount -t tmpfs -o size=64k none /dev/shm && mount -t tmpfs none /mnt && mkdir /mnt/place
    {script}
    {sys.executable} -c 'from chaosfuzz.cli import main; main()' "$@"
    code=$?
    echo left: $(ls -A /mnt/place /dev/shm | grep -c chaosfuzz-)
    exit $code
    """
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", shell, "sh", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": "/mnt/place"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


SMALL = "mount -t tmpfs -o size=2m none /mnt/place"
FULL = f"{SMALL}; dd if=/dev/zero of=/mnt/place/fill bs=1k 2>/dev/null"
READ_ONLY = f"{SMALL}; mount -o remount,ro /mnt/place"


@mounts
@pytest.mark.parametrize(
    "arguments",
    [("doctor",), ("fuzz", "--examples", "1"), ("bench", "throughput", "--schedules", "1")],
)
def test_no_space_is_one_clear_message(arguments: tuple[str, ...], tmp_path: Path) -> None:
    options = ("--out", str(tmp_path)) if arguments[0] != "bench" else ()
    done = in_place(SMALL, *arguments, *options)
    said = done.stdout + done.stderr
    assert done.returncode == 3, said
    assert "Traceback" not in said
    assert "MB are free for /mnt/place/chaosfuzz-" in said
    assert "set TMPDIR to a larger disk" in said
    assert "left: 0" in said


@mounts
@pytest.mark.parametrize("script", [FULL, READ_ONLY])
def test_an_unusable_tmpdir_is_named_and_another_directory_is_used(
    script: str, tmp_path: Path
) -> None:
    done = in_place(script, "doctor", "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "TMPDIR=/mnt/place cannot be written or is full" in done.stdout
    assert "left: 0" in done.stdout


@mounts
@pytest.mark.parametrize("script", [FULL, READ_ONLY])
def test_results_that_cannot_be_written_are_one_clear_message(script: str) -> None:
    done = in_place(script, "doctor", "--out", "/mnt/place/out")
    assert done.returncode == 3
    assert "broken   results: cannot write /mnt/place" in done.stdout
    assert "--out" in done.stdout
