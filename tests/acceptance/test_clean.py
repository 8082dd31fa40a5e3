"""What a killed run leaves behind, and that `chaosfuzz clean` removes it and nothing else."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chaosfuzz.cli import run
from chaosfuzz.targets.keeper.process_tree import all_pids, is_alive
from chaosfuzz.targets.postgres import (
    create_runtime_directory,
    find_leftovers,
    remove_leftover,
)

ROOT = Path(__file__).resolve().parents[2]
ROOTS = (Path("/dev/shm"), Path("/tmp"))
DEADLINE_S = 10.0
LANE = """
import sys
from pathlib import Path
from chaosfuzz.targets.process import ReferenceTarget
lane = ReferenceTarget().lane(0, Path(sys.argv[1]))
while True:
    system = lane.open(2)
    print("open", flush=True)
    system.pause("worker-1")
    system.stop_database("immediate")
    system.start_database()
    system.close()
"""


def start_lane(logs: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", LANE, str(logs)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CHAOSFUZZ_TEST_MARK": str(logs)},
        stdout=subprocess.PIPE,
        text=True,
    )


def directories_of(pid: int) -> set[Path]:
    found = set()
    for root in ROOTS:
        for manifest in root.glob("chaosfuzz-*/manifest.json"):
            with contextlib.suppress(OSError, ValueError):
                if json.loads(manifest.read_text())["pid"] == pid:
                    found.add(manifest.parent)
    return found


def processes_of(logs: Path, directories: set[Path]) -> list[int]:
    """Find every process that inherited the mark, or names or works in a directory of the run."""
    marks = [os.fsencode(logs), *map(os.fsencode, directories)]
    found = []
    for pid in all_pids():
        entry = Path(f"/proc/{pid}")
        with contextlib.suppress(OSError):
            about = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            about += os.fsencode((entry / "cwd").readlink())
            if is_alive(pid) and any(mark in about for mark in marks):
                found.append(pid)
    return found


def assert_all_end(logs: Path, directories: set[Path]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while remaining := processes_of(logs, directories):
        assert time.monotonic() < deadline, f"{remaining} outlive their run"
        time.sleep(0.02)


def kill(lane: subprocess.Popen[str]) -> None:
    lane.send_signal(signal.SIGKILL)
    lane.wait()
    assert lane.stdout is not None
    lane.stdout.close()


def test_a_killed_run_leaves_no_process_and_clean_removes_its_directories(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lane = start_lane(tmp_path)
    assert lane.stdout is not None
    assert lane.stdout.readline() == "open\n"
    directories = directories_of(lane.pid)
    assert directories
    assert len(processes_of(tmp_path, directories)) > 3
    assert run(["clean"]) == 0
    assert lane.poll() is None
    assert directories == directories_of(lane.pid), "a live run was cleaned away"
    kill(lane)
    assert_all_end(tmp_path, directories)
    assert run(["clean", "--dry-run"]) == 0
    assert directories == directories_of(lane.pid)
    capsys.readouterr()
    assert run(["clean"]) == 0
    said = capsys.readouterr().out
    assert all(f"removed {directory}" in said for directory in directories)
    assert not any(directory.exists() for directory in directories)


@pytest.mark.parametrize("attempt", range(10))
def test_a_run_killed_anywhere_leaves_nothing_after_clean(tmp_path: Path, attempt: int) -> None:
    before = shared_memory()
    lane = start_lane(tmp_path)
    time.sleep(random.Random(attempt).uniform(0.1, 2.5))
    directories = directories_of(lane.pid)
    kill(lane)
    directories |= directories_of(lane.pid)
    assert_all_end(tmp_path, directories)
    assert run(["clean"]) == 0
    assert not directories_of(lane.pid)
    # Those of live runs beside this test come and go.
    deadline = time.monotonic() + DEADLINE_S
    while left := shared_memory() - before:
        assert time.monotonic() < deadline, f"{left} outlive their run"
        time.sleep(0.05)


def test_two_that_clean_at_once_both_succeed(tmp_path: Path) -> None:
    lane = start_lane(tmp_path)
    assert lane.stdout is not None
    assert lane.stdout.readline() == "open\n"
    kill(lane)
    directories = directories_of(lane.pid)
    assert_all_end(tmp_path, directories)
    found = [one for one in find_leftovers() if one.path in directories]
    assert {one.path for one in found} == directories
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(remove_leftover, found * 8))
    assert not any(directory.exists() for directory in directories)


@pytest.mark.parametrize("command", ["moments", "throughput"])
def test_a_killed_measurement_leaves_nothing_after_clean(tmp_path: Path, command: str) -> None:
    bench = subprocess.Popen(
        [sys.executable, "-m", "chaosfuzz", "bench", command, "--schedules", "50"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CHAOSFUZZ_TEST_MARK": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 6 * DEADLINE_S
    # The scratch directory is made before the first lane.
    while len(directories_of(bench.pid)) < 2:
        assert time.monotonic() < deadline, "no directory of scratch and lane"
        time.sleep(0.02)
    kill(bench)
    directories = directories_of(bench.pid)
    assert_all_end(tmp_path, directories)
    assert run(["clean"]) == 0
    assert not directories_of(bench.pid)


def test_nothing_to_clean_in_an_empty_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = create_runtime_directory("test", tmp_path)
    assert run(["clean", "--dir", str(tmp_path)]) == 0
    assert mine.exists()
    assert str(mine) not in capsys.readouterr().out


def test_a_directory_that_was_never_finished_is_removed_once_it_is_old(tmp_path: Path) -> None:
    fresh, old, foreign = (tmp_path / f"chaosfuzz-{name}" for name in ("fresh", "old", "foreign"))
    for directory in (fresh, old, foreign):
        directory.mkdir()
    (old / "manifest.json").touch()
    (foreign / "precious").touch()
    for directory in (old, foreign):
        os.utime(directory, (0, 0))
    assert run(["clean", "--dir", str(tmp_path)]) == 0
    assert fresh.exists()
    assert not old.exists()
    assert (foreign / "precious").exists()


def test_a_place_that_is_none_is_bad_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["clean", "--dir", str(tmp_path / "nowhere")]) == 2
    assert "nowhere is no directory" in capsys.readouterr().err


def shared_memory() -> set[str]:
    """Return the segments of PostgreSQL that no process of the machine has mapped."""
    rows = [line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]]
    unused = {f"sysv {row[1]}" for row in rows if row[6] == "0"}
    files = {path.name for path in Path("/dev/shm").glob("PostgreSQL.*")}
    for pid in all_pids():
        with contextlib.suppress(OSError):
            maps = Path(f"/proc/{pid}/maps").read_text()
            files -= {name for name in files if name in maps}
    return unused | files
