"""The keeper against real processes."""

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.targets.keeper import Keeper, UnprivilegedWay
from chaosfuzz.targets.keeper.process_tree import PROC, is_alive

HELPERS = """
import json, os, signal, subprocess, sys, time

def ready_then_exit(argument, ready_fd):
    os.write(ready_fd, b"R")
    return json.loads(argument)["code"]

def ready_then_wait(argument, ready_fd):
    os.write(ready_fd, b"R")
    while True:
        signal.pause()

def dies_early(argument, ready_fd):
    raise RuntimeError("broken on purpose")

def never_ready(argument, ready_fd):
    signal.pause()

def grandchild(argument, ready_fd):
    process = subprocess.Popen(["sleep", "600"], start_new_session=json.loads(argument)["session"])
    print("grandchild", process.pid, flush=True)
    os.write(ready_fd, b"R")
    signal.pause()

def describe(argument, ready_fd):
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    print(json.dumps({
        "fds": sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:-1],
        "session": os.getsid(0) == os.getpid(),
        "stdin": os.readlink("/proc/self/fd/0"),
        "mask": len(mask),
        "sigchld": signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL,
    }))
    return 0
"""


@pytest.fixture
def helpers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "keeper_test_helpers.py").write_text(HELPERS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "keeper_test_helpers"


@pytest.fixture
def keeper(helpers: str):
    with Keeper([helpers]) as made:
        yield made


def wait_until(condition: Callable[[], bool], timeout_s: float = 10.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        threading.Event().wait(0.005)


def test_forked_child_is_ready_and_returns_its_exit_code(
    keeper: Keeper, helpers: str, tmp_path: Path
):
    child = keeper.fork(f"{helpers}:ready_then_exit", json.dumps({"code": 7}), tmp_path / "log")
    child.wait_ready(5)
    assert child.wait(5) == 7
    assert child.exit_code == 7
    assert child.signal(signal.SIGTERM) is False
    child.close()


def test_forked_child_has_a_clean_state(keeper: Keeper, helpers: str, tmp_path: Path):
    child = keeper.fork(f"{helpers}:describe", "{}", tmp_path / "log")
    assert child.wait(5) == 0
    child.close()
    assert json.loads((tmp_path / "log").read_text()) == {
        "fds": [0, 1, 2, 3],
        "session": True,
        "stdin": "/dev/null",
        "mask": 0,
        "sigchld": True,
    }


def test_child_that_dies_before_it_is_ready_is_reported_with_its_log(
    keeper: Keeper, helpers: str, tmp_path: Path
):
    child = keeper.fork(f"{helpers}:dies_early", "{}", tmp_path / "log")
    with pytest.raises(InfrastructureError, match="broken on purpose"):
        child.wait_ready(5)
    assert child.exit_code == 1
    child.close()


def test_child_that_is_never_ready_times_out(keeper: Keeper, helpers: str, tmp_path: Path):
    child = keeper.fork(f"{helpers}:never_ready", "{}", tmp_path / "log")
    with pytest.raises(InfrastructureError, match=r"within 0\.05 s"):
        child.wait_ready(0.05)
    assert child.exit_code is None
    child.kill_tree()
    assert child.wait(5) == -signal.SIGKILL
    child.close()


def test_paused_child_can_be_killed(keeper: Keeper, helpers: str, tmp_path: Path):
    child = keeper.fork(f"{helpers}:ready_then_wait", "{}", tmp_path / "log")
    child.wait_ready(5)
    assert child.signal(signal.SIGSTOP)
    child.kill_tree()
    assert child.wait(5) == -signal.SIGKILL
    child.kill_tree()
    child.close()


@pytest.mark.parametrize("parent_first", [False, True])
def test_kill_tree_takes_the_group(
    keeper: Keeper, helpers: str, tmp_path: Path, parent_first: bool
):
    argument = json.dumps({"session": False})
    child = keeper.fork(f"{helpers}:grandchild", argument, tmp_path / "log")
    child.wait_ready(5)
    grandchild = int((tmp_path / "log").read_text().split()[1])
    if parent_first:
        child.signal(signal.SIGKILL)
        assert child.wait(5) == -signal.SIGKILL
        assert is_alive(grandchild)
    child.kill_tree()
    wait_until(lambda: not is_alive(grandchild))
    child.close()


def test_closing_kills_even_descendants_in_other_sessions(helpers: str, tmp_path: Path):
    with Keeper([helpers]) as keeper:
        argument = json.dumps({"session": True})
        child = keeper.fork(f"{helpers}:grandchild", argument, tmp_path / "log")
        child.wait_ready(5)
        grandchild = int((tmp_path / "log").read_text().split()[1])
    assert not is_alive(grandchild)
    assert not is_alive(child.pid)
    assert child.exit_code == -signal.SIGKILL
    child.close()


def test_execute_exit_codes(keeper: Keeper, tmp_path: Path):
    environment = {"A": "value"}
    good = keeper.execute(
        ["/bin/sh", "-c", "echo $A; exit 3"], environment=environment, log_path=tmp_path / "good"
    )
    assert good.wait(5) == 3
    assert (tmp_path / "good").read_text() == "value\n"
    missing = keeper.execute(["/no/such/program"], log_path=tmp_path / "missing")
    assert missing.wait(5) == 127
    said = (tmp_path / "missing").read_text()
    assert said == "chaosfuzz: cannot run '/no/such/program' in /: No such file or directory\n"
    with pytest.raises(UsageError):
        missing.wait_ready(1)
    for child in (good, missing):
        child.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has privileges to give up")
@pytest.mark.parametrize("way", [None, "setuid"])
def test_unprivileged_commands_are_not_root(tmp_path: Path, way: UnprivilegedWay | None):
    with Keeper(way=way) as keeper:
        child = keeper.execute(["id", "-u"], log_path=tmp_path / "log", user="unprivileged")
        assert child.wait(5) == 0
        child.close()
        expected = {"user-namespace": "1000", "setuid": "65534"}[keeper.way]
    assert (tmp_path / "log").read_text().strip() == expected


@pytest.mark.parametrize("way", [None, "setuid"])
def test_unprivileged_children_die_with_a_killed_keeper(
    tmp_path: Path, way: UnprivilegedWay | None
):
    if way and os.geteuid() != 0:
        pytest.skip("only root can change its user")
    keeper = Keeper(way=way)
    child = keeper.execute(["sleep", "600"], log_path=tmp_path / "log", user="unprivileged")
    wait_until(lambda: (PROC / f"{child.pid}/comm").read_text() == "sleep\n")
    os.kill(keeper.pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(child.pid))
    with pytest.raises(InfrastructureError, match="has died"):
        keeper.execute(["true"], log_path=tmp_path / "log")
    child.close()
    keeper.close()


def test_bad_requests_are_errors(helpers: str, tmp_path: Path):
    with pytest.raises(InfrastructureError, match="no_such_module"):
        Keeper(["no_such_module"])
    with Keeper() as keeper:
        with pytest.raises(UsageError):
            keeper.fork("nonsense", "{}", tmp_path / "log")
        with pytest.raises(UsageError):
            keeper.fork("a:b", "{}", tmp_path / "absent" / "log")
        with pytest.raises(InfrastructureError, match="bytes"):
            keeper.fork("a:b", "x" * 200_000, tmp_path / "log")
        child = keeper.fork(f"{helpers}:ready_then_exit", '{"code": 0}', tmp_path / "log")
        assert child.wait(5) == 0
        child.close()


def test_two_threads_share_a_keeper(keeper: Keeper, helpers: str, tmp_path: Path):
    codes = []

    def work(offset: int) -> None:
        for code in range(offset, offset + 20):
            argument = json.dumps({"code": code})
            child = keeper.fork(f"{helpers}:ready_then_exit", argument, tmp_path / f"log{code}")
            child.wait_ready(5)
            codes.append(child.wait(5) == code)
            child.close()

    threads = [threading.Thread(target=work, args=(offset,)) for offset in (0, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert codes == [True] * 40


def test_no_descriptors_leak(keeper: Keeper, helpers: str, tmp_path: Path):
    def count(pid: int) -> int:
        return len(list((PROC / str(pid) / "fd").iterdir()))

    before = count(os.getpid()), count(keeper.pid)
    for _ in range(10):
        child = keeper.fork(f"{helpers}:ready_then_exit", '{"code": 0}', tmp_path / "log")
        child.wait_ready(5)
        child.wait(5)
        child.close()
    assert (count(os.getpid()), count(keeper.pid)) == before


def test_children_end_when_the_harness_is_killed(helpers: str, tmp_path: Path):
    script = f"""
import signal, sys
from pathlib import Path
sys.path.insert(0, {str(tmp_path)!r})
from chaosfuzz.targets.keeper import Keeper
keeper = Keeper([{helpers!r}])
child = keeper.fork("{helpers}:grandchild", '{{"session": true}}', Path({str(tmp_path / "log")!r}))
child.wait_ready(5)
child.signal(signal.SIGSTOP)
print(keeper.pid, child.pid, flush=True)
signal.pause()
"""
    harness = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    with harness:
        assert select.select([harness.stdout], [], [], 20)[0]
        pids = [int(pid) for pid in harness.stdout.readline().split()]
        pids.append(int((tmp_path / "log").read_text().split()[1]))
        assert all(map(is_alive, pids))
        harness.kill()
    wait_until(lambda: not any(map(is_alive, pids)))
