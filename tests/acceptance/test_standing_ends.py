"""`chaosfuzz up` from start to end, however it ends, each time in a directory of its own."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from acceptance.command import arguments_of, chaosfuzz, environment
from acceptance.standing import description, no_settings, until

from chaosfuzz.cli import run
from chaosfuzz.targets.keeper.process_tree import is_alive

__all__ = ["no_settings"]


def test_what_belongs_to_a_system_needs_one(tmp_path: Path) -> None:
    out = str(tmp_path / "none")
    for arguments in (["workers", "status"], ["service", "kill"], ["admin", "task-stats"]):
        assert run([*arguments, "--out", out]) == 2
    assert run(["down", "--out", out]) == 0
    assert run(["watch", "--tag", "any", "--out", out]) == 2


def test_a_busy_port_is_said(tmp_path: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        done = chaosfuzz(tmp_path, "up", "--port", str(port))
    assert done.code == 3
    happened, remedy = done.err.splitlines()
    assert str(port) in happened
    assert remedy.strip() == "choose another port"
    assert not (tmp_path / "chaosfuzz-runs" / "up").exists()


def test_nothing_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    done = chaosfuzz(tmp_path, "up", "--port", "0", "--workers", "1", "--json", "-")
    assert done.code == 0, done.err
    supervisor = int(str(done.json["pid"]))
    state = json.loads((tmp_path / "chaosfuzz-runs" / "up" / "state.json").read_text())
    runtime = Path(state["runtime_directory"])
    status = chaosfuzz(tmp_path, "workers", "status", "--json", "-")
    pids = [each["pid"] for each in json.loads(status.out)["services"]]
    assert len(pids) == 3
    os.kill(supervisor, signal.SIGKILL)
    until(lambda: not any(is_alive(pid) for pid in (supervisor, *pids)))
    done = chaosfuzz(tmp_path, "workers", "status")
    assert done.code == 2
    assert "chaosfuzz clean" in done.err
    done = chaosfuzz(tmp_path, "clean")
    assert done.code == 0, done.err
    assert f"removed {runtime}" in done.out
    assert not runtime.exists()
    assert not (tmp_path / "chaosfuzz-runs" / "up").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["up", "--port", "70000"], "70000"),
        (["up", "--workers", "99"], "99"),
        (["up", "--speed", "0"], "speed"),
        (["up", "--defect", "gremlins"], "gremlins"),
        (["auth", "--url", "ftp://example.com"], "ftp://example.com"),
        (["flood", "--count", "0"], "0"),
        (["flood", "--failing", "2"], "2"),
        (["flood", "--type", "file_cleanup", "--failing", "0.5"], "file_cleanup"),
        (["workers", "chaos", "--interval", "9-3"], "9-3"),
        (["workers", "chaos", "--duration", "soon"], "--duration"),
        (["workers", "stop", "server"], "server"),
        (["admin", "list-tasks", "--status", "lost"], "lost"),
        (["admin", "task-stats", "--dsn", "no dsn"], "--dsn"),
    ],
)
def test_bad_usage_is_refused(
    tmp_path: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with contextlib.chdir(tmp_path):
        assert run(arguments) == 2
    assert said in capsys.readouterr().err


def test_ctrl_c_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    log = tmp_path / "chaosfuzz-runs" / "up" / "supervisor.log"
    starting = subprocess.Popen(
        arguments_of("up", "--port", "0"),
        cwd=tmp_path,
        env=environment(CHAOSFUZZ_TEST_MARK=str(tmp_path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with starting:
        until(log.exists)
        starting.send_signal(signal.SIGINT)
        _out, err = starting.communicate(timeout=90)
    assert starting.returncode == 130, err
    assert not log.parent.exists()
    mark = os.fsencode(tmp_path)
    until(lambda: not any(mark in environ for environ in environments()))


def environments() -> Iterator[bytes]:
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            yield path.read_bytes()


def test_a_system_whose_state_was_removed_ends(tmp_path: Path) -> None:
    done = chaosfuzz(tmp_path, "up", "--port", "0", "--workers", "0", "--json", "-")
    assert done.code == 0, done.err
    shutil.rmtree(tmp_path / "chaosfuzz-runs")
    until(lambda: not is_alive(int(str(done.json["pid"]))))


@pytest.mark.long
def test_data_is_kept_over_down_and_kill(tmp_path: Path) -> None:
    chosen = ("up", "--port", "0", "--speed", "10", "--data", "data", "--json", "up.json")
    passwords = set()
    for round_ in range(3):
        done = chaosfuzz(tmp_path, *chosen)
        assert done.code == 0, done.err
        said = description(tmp_path)
        passwords.add(said["admin"]["password"])
        assert chaosfuzz(tmp_path, "up", "--out", "other", "--data", "data").code == 2
        counts = json.loads(chaosfuzz(tmp_path, "admin", "task-stats", "--json", "-").out)
        assert counts["completed"] == round_
        flood = chaosfuzz(tmp_path, "flood", "--count", "1", "--delay", "0")
        assert flood.code == 0, flood.out + flood.err
        if round_ == 1:
            os.kill(said["pid"], signal.SIGKILL)
        else:
            done = chaosfuzz(tmp_path, "down")
            assert "the database stays in" in done.out
    assert len(passwords) == 1
    assert (tmp_path / "data" / "chaosfuzz-data.json").exists()
    inside = chaosfuzz(tmp_path, "up", "--data", "chaosfuzz-runs/up/data")
    assert inside.code == 2
    assert "choose a directory outside" in inside.err
